// Which devices serve which models, and the way of a request to one of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "device/device.h"
#include "runtime/load_cell.h"
#include "runtime/published.h"
#include "runtime/served_instance.h"
#include "sched/router.h"

namespace tessera::runtime {

using device::kMaxDevices;

// A set of devices by their numbers.
using DeviceSet = std::uint64_t;
constexpr DeviceSet only(std::uint16_t device) { return DeviceSet{1} << device; }

// Thread-safe: requests read without waiting, for the time that the number of devices with the model asks for; put()
// and remove() come from the devices' loader threads and lock.
class RouteTable {
 public:
  RouteTable() : loads_(std::make_unique<DeviceLoadCell[]>(kMaxDevices)), table_(std::make_unique<const Table>()) {}

  // The load of a device, to be written by its dispatcher while somebody chooses by it.
  DeviceLoadCell& load(std::uint16_t device) { return loads_[device]; }
  bool takes_launches(std::uint16_t device) const { return loads_[device].takes_launches(); }

  // Where a request is to go. Without a version: to the newest one that a device which is up serves.
  struct Choice {
    bool known = false;                   // the model and version serve somewhere, if on a lost device
    std::optional<std::uint16_t> device;  // none: on no device that is up and not among `tried`
  };
  Choice choose(std::string_view model, std::optional<std::int64_t> version, DeviceSet tried = 0) const;
  // Why nobody serves it, where a batch of it does not end on each device that has it; nullptr otherwise.
  std::shared_ptr<const Error> stuck(std::string_view model, std::optional<std::int64_t> version) const;
  // Whether that device may have it: it is up and serves the model and version.
  bool serves(std::uint16_t device, std::string_view model, std::optional<std::int64_t> version) const;

  // nullptr: no such name, or no such version of it. Without a version: the newest one. Of several replicas any one.
  std::shared_ptr<const model::Instance> find(std::string_view model, std::optional<std::int64_t> version) const;
  std::vector<std::int64_t> versions(std::string_view model) const;  // ascending
  std::vector<std::shared_ptr<const model::Instance>> all() const;   // one of each version

  // The share of a device that all versions of the model reserve together, on one that is not `device`; nothing where
  // no other one has it.
  std::optional<double> reserved_elsewhere(std::uint16_t device, std::string_view model) const;

  // Takes the place of an instance of the same name and version on that device.
  void put(std::uint16_t device, std::shared_ptr<ServedInstance> served);
  // An instance that was replaced is gone already.
  void remove(std::uint16_t device, InstanceId instance);

 private:
  struct Replica {
    std::uint16_t device = 0;
    std::shared_ptr<ServedInstance> served;
  };
  struct Version {
    std::int64_t number = 0;
    std::vector<Replica> replicas;  // never empty
  };
  struct Name {
    std::vector<Version> versions;  // ascending, never empty
    std::size_t begin = 0;          // of equal devices, so that the first requests of many models do not all go to one
  };
  using Table = std::map<std::string, Name, std::less<>>;

  std::optional<std::uint16_t> choose(const Name& name, const Version& version, DeviceSet tried) const;

  const sched::Router router_{};
  const std::unique_ptr<DeviceLoadCell[]> loads_;
  Published<Table> table_;
  std::mutex writing_;  // replace() takes one at a time
};

}  // namespace tessera::runtime
