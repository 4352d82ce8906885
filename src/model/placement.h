// Which devices hold which models, as the server wants it: what its loads go by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sched/placer.h"

namespace inference {
class ModelConfig;  // proto/model_config.proto
}

namespace tessera::model {

// What instance_group.gpus says, as flags by device; empty: all devices. Error: kInvalidArgument, a number that none of
// `devices` has.
Result<std::vector<bool>> wished_devices(const inference::ModelConfig& proto, std::size_t devices);

// Remembers what models wish for and which devices are left, and asks the placer. How much memory devices have for
// models is not known to it: they go everywhere they may. Thread-safe.
class Placement {
 public:
  explicit Placement(std::size_t devices) : devices_(devices) {}

  // One more device, which is to hold every model that may be anywhere.
  void add();

  // Notes what the configuration wishes. Error: that of wished_devices().
  Status wish(const std::string& model, const inference::ModelConfig& proto);
  // Whether the device is to hold the model. What nobody has wished for goes everywhere.
  bool holds(std::size_t device, const std::string& model) const;
  void forget(const std::string& model);

  // The device holds nothing any more, and the others hold what only it was to hold.
  void lose(std::size_t device);

 private:
  struct Wish {
    std::vector<bool> allowed;
    std::vector<bool> holds;  // by device
  };
  std::vector<bool> decide(const std::vector<bool>& allowed) const;

  mutable std::mutex mutex_;
  const sched::Placer placer_;
  std::vector<sched::PlacerDevice> devices_;
  std::map<std::string, Wish> models_;
};

}  // namespace tessera::model
