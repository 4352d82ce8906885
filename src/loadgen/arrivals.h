// When requests come: each process a generator of scheduled times, with a seed of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "base/time.h"

namespace tessera::loadgen {

struct Poisson {};

// Gaps with a gamma distribution; their coefficient of variation is 1 / sqrt(shape): below 1 burstier than Poisson.
struct Gamma {
  double shape = 1;
};

// Poisson while on, nothing while off; both last exponentially long, with these means. The rate while on is such that
// the rate over all is the one asked for.
struct OnOff {
  Duration on = std::chrono::seconds(1);
  Duration off = std::chrono::seconds(1);
};

// Poisson with a rate that follows a day as a sine, compressed to `day`: mean * (1 + swing * sin(2 pi (t / day +
// phase))), 0 <= swing <= 1.
struct Diurnal {
  Duration day = std::chrono::seconds(60);
  double swing = 0.5;
  double phase = 0;
};

// Equal gaps. The first comes after `phase` (0..1) of a gap, a random one where none is given; each is late by up to
// `jitter` (0..1) of a gap, uniformly, without moving the next.
struct Constant {
  std::optional<double> phase;
  double jitter = 0;
};

struct ScheduledArrival {
  Duration at{0};  // since the start
  std::int32_t rows = 1;
};

// What was recorded, over and over; times are stretched to the rate asked for.
struct Trace {
  std::shared_ptr<const std::vector<ScheduledArrival>> arrivals;  // ascending, at least one
  Duration length{0};                                             // of one pass, not before the last one

  double per_second() const;  // as recorded
};

using Process = std::variant<Poisson, Gamma, OnOff, Diurnal, Constant, Trace>;

// Endless, in ascending order. Owned by one thread.
class Arrivals {
 public:
  virtual ~Arrivals() = default;
  virtual ScheduledArrival next() = 0;
};

// `per_second` > 0: requests in the mean.
std::unique_ptr<Arrivals> make_arrivals(const Process& process, double per_second, std::uint64_t seed);

}  // namespace tessera::loadgen
