// The counters of what serves and of what served before.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/served_instance.h"
#include "runtime/statistics.h"

namespace tessera::runtime {

// Thread-safe; locks, and is therefore not on a request's way.
class StatisticsBook {
 public:
  // Forgets versions of the same name that are gone.
  void add(const std::shared_ptr<ServedInstance>& served);
  // Its numbers stay to be read, unless an instance of the same version has followed it.
  void withdraw(InstanceId instance);

  std::vector<ModelStatistics> all() const;
  // Error: nothing of that name or version, with the text clients match.
  Result<std::vector<ModelStatistics>> of(std::string_view model, std::optional<std::int64_t> version) const;

  // Requests accepted and not answered, also by instances that are being withdrawn.
  std::uint64_t unanswered() const;

 private:
  struct Entry {
    InstanceId instance;
    std::string model;
    std::int64_t version = 0;
    bool gone = false;
    std::shared_ptr<ModelCounters> counters;
    std::weak_ptr<ServedInstance> served;
  };

  // Whether a later entry stands for the same version.
  bool followed(const Entry& entry) const;

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  // in the order they came
};

}  // namespace tessera::runtime
