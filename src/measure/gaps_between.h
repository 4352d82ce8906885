// What lies between the batches of a device that always has work, and how long after their ends the host knows: from
// when each launch ran.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/time.h"
#include "device/cuda/observed_launch.h"

namespace tessera::measure {

struct Quantiles {
  std::size_t count = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double most = 0;
};
Quantiles quantiles_of(std::vector<double> values);

// Between a launch and the latest end of those that its atoms ran before. `changed`: one of these was in another slice.
// `ahead`: the launch had been queued when that one ended.
struct GapsBetween {
  std::size_t launches = 0;  // that ran whole within the time looked at
  std::size_t untimed = 0;   // of which the card told no time
  std::size_t overlaps = 0;  // that began before: the order is broken
  // Of all atom-time: in batches; from the latest end to the begin of the next batch; while an atom waited for others
  // of a wider slice. What is left was nobody's, or is of batches that reach beyond the time.
  double busy = 0;
  double between = 0;
  double waiting = 0;
  Quantiles changed_us;
  Quantiles changed_ahead_us;
  Quantiles changed_behind_us;  // the others
  Quantiles same_us;
  Quantiles same_ahead_us;
  Quantiles same_behind_us;
  Quantiles seen_us;    // from the end on the card until the thread that looks for it has seen it
  Quantiles told_us;    // until the dispatcher has it
  Quantiles in_flight;  // launches queued but not ended, at the ends
};

// `launches` in the order of launching, `host_ns`: the card's clock on the host's axis. Of launches that begin at
// `from` or later and end before `until`; what ran before tells what their atoms did.
GapsBetween gaps_between(std::span<const device::ObservedLaunch> launches, std::uint16_t atoms,
                         const std::function<double(std::uint64_t)>& host_ns, TimePoint from, TimePoint until);

// Numbers between the first and the last that are missing or come twice.
std::size_t lost_of(std::span<const device::ObservedLaunch> launches);

}  // namespace tessera::measure
