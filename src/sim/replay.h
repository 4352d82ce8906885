// A recorded run of a server, decided again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace tessera::sim {

// Where a scheduler decided otherwise than the recorded one.
struct Difference {
  std::string device;
  std::uint64_t step = 0;  // of the device, from 1 on
  Duration at{0};          // since the first step
  std::string event;
  std::vector<std::string> recorded;  // actions
  std::vector<std::string> now;
};

// Value.
struct Replay {
  struct Device {
    std::string name;
    std::string policy;  // at the start
    std::uint64_t steps = 0;
  };
  // By name, over all versions and devices.
  struct Model {
    std::string name;
    std::uint64_t requests = 0;
    std::uint64_t batches = 0;
    std::uint64_t rows = 0;
    std::uint64_t rejected = 0;
  };
  std::vector<Device> devices;  // by number
  std::vector<Model> models;
  std::uint64_t decisions = 0;           // actions, the same as recorded
  Duration span{0};                      // from the first step to the last
  std::string ended;                     // how the recording did; empty: with the server
  std::optional<Difference> difference;  // the first; nothing follows it
};

// Feeds what each device's scheduler was told to a new one, as of now, and compares what it answers. `progress` hears
// now and then which share is done; it may be empty. Error: no journal, a damaged one, or a policy that is unknown
// here.
Result<Replay> replay(std::string_view journal, const std::function<void(double)>& progress);

std::string replay_text(const Replay& replay);
std::string replay_json(const Replay& replay, const std::string& command);

}  // namespace tessera::sim
