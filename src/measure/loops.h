// Plans in closed loop, each in a slice of its own, without a service around them: how long their launches take, also
// while something else is done on the same device.
#pragma once

#include <cstddef>
#include <functional>
#include <latch>
#include <limits>
#include <memory>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "device/device.h"

namespace tessera::measure {

// One plan with its batch; one launch at a time is on its way. Two loops in one slice, of two lanes, are as a server
// has it: one batch runs, one is committed behind it. Its parts outlive the run.
struct Loop {
  const device::Plan* plan = nullptr;
  Batch* batch = nullptr;
  InstanceId instance{};
  LaneIndex lane{};
  Slice slice{};
  device::After after = device::After::kOverlap;
};

// From launching until the device sees the end of the run; where another loop's launch ran before it in its slice, from
// the end of that.
struct LoopTimes {
  std::size_t launches = 0;
  double per_second = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double worst_ms = 0;
  // From the end before, or the beginning, until the end, whatever ran between: what a client in closed loop would
  // wait.
  double whole_p50_ms = 0;
  double whole_p99_ms = 0;
};

// Holds the dispatcher role of the device while it runs. Owned by the loader thread.
class Loops {
 public:
  explicit Loops(device::Device& device);
  ~Loops();
  Loops(const Loops&) = delete;
  Loops& operator=(const Loops&) = delete;

  // All loops on a thread of their own and, once they are under way, `meanwhile` on this one, for `at_least`; `most`
  // launches are on their way at a time, those that wait for their turn come in the order in which they ended. Error:
  // that of `meanwhile`, or the first launch that failed. Inputs that a server would copy to the device ahead of their
  // launch (more than 32 KB) lie there before the first one.
  Result<std::vector<LoopTimes>> run(const std::vector<Loop>& loops, Duration at_least,
                                     const std::function<Status()>& meanwhile = {},
                                     std::size_t most = std::numeric_limits<std::size_t>::max());
  // Copies them there. By the holder of the dispatcher role.
  Status copy_inputs(Batch& batch);

 private:
  class Sink;
  struct Took {
    std::vector<Duration> in_slice;
    std::vector<Duration> whole;
  };
  // `begun` counts down once the first launches are on their way, or cannot be.
  Status dispatch(const std::vector<Loop>& loops, std::size_t most, std::vector<Took>& took, std::latch& begun);
  static LoopTimes times_of(Took took, Duration length);

  device::Device& device_;
  const std::unique_ptr<Sink> sink_;
  std::uint64_t last_id_ = 0;
  std::uint64_t last_copy_ = 0;
};

// On a thread that is the device's loader thread for that time. Error: the device's, or that of `work`.
Status as_loader_of(device::Device& device, const std::function<Status()>& work);

// Slices of equal size, side by side, that are on the ladder; fewer where there are not so many.
std::vector<Slice> side_by_side(const DeviceShape& shape, std::size_t count);

}  // namespace tessera::measure
