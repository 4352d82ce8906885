// Points and spans of time as every layer uses them: nanoseconds on one monotonic axis. Pure code (sched, sim) takes
// TimePoint as an argument; only code that owns a thread may call now().
#pragma once

#include <chrono>

namespace tessera {

using Duration = std::chrono::nanoseconds;

// The axis of TimePoint: CLOCK_MONOTONIC in a server, the event loop's virtual time in a simulation.
struct MonotonicAxis {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicAxis, Duration>;
  static constexpr bool is_steady = true;
};

using TimePoint = MonotonicAxis::time_point;

inline constexpr TimePoint kNever = TimePoint::max();
inline constexpr Duration kForever = Duration::max();

// at + span, where either may be endless: the sum saturates at kNever instead of wrapping.
constexpr TimePoint add_saturating(TimePoint at, Duration span) {
  return span >= kNever - at && at.time_since_epoch() >= Duration::zero() ? kNever : at + span;
}

}  // namespace tessera
