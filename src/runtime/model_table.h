// Which instances serve, by name and version.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "runtime/body_memory.h"
#include "runtime/published.h"
#include "runtime/served_instance.h"

namespace tessera::runtime {

// Read by any thread without waiting; put() and remove() are called by the loader thread alone.
class ModelTable {
 public:
  explicit ModelTable(Bytes quota_per_model);

  // nullptr: no such name, or no such version of it. Without a version: the newest one.
  std::shared_ptr<ServedInstance> find(std::string_view model, std::optional<std::int64_t> version) const;
  // The same for a request: counted as admitting and unanswered before anybody can have withdrawn the instance.
  std::shared_ptr<ServedInstance> enter(std::string_view model, std::optional<std::int64_t> version) const;
  std::shared_ptr<ByteQuota> quota(std::string_view model) const;    // nullptr: no such name
  std::vector<std::int64_t> versions(std::string_view model) const;  // ascending
  std::vector<std::shared_ptr<ServedInstance>> all() const;

  // Takes the place of an instance of the same name and version.
  void put(std::shared_ptr<ServedInstance> served);
  // Returns when no enter() can give the instance any more. An instance that was replaced is gone already.
  void remove(InstanceId instance);

 private:
  struct Name {
    std::vector<std::shared_ptr<ServedInstance>> versions;  // ascending, never empty
    std::shared_ptr<ByteQuota> quota;
  };
  using Table = std::map<std::string, Name, std::less<>>;

  static const std::shared_ptr<ServedInstance>* look_up(const Table& table, std::string_view model,
                                                        std::optional<std::int64_t> version);

  const Bytes quota_per_model_;
  Published<Table> table_;
};

}  // namespace tessera::runtime
