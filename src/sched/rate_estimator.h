// How fast something arrives, from an exponentially fading count.
#pragma once

#include <cmath>

#include "base/time.h"

namespace tessera::sched {

// Value, owned by the scheduler's thread. Follows a change of rate within about half a second.
class RateEstimator {
 public:
  void add(double amount, TimePoint now) {
    count_ = faded(now) + amount;
    at_ = now;
  }
  double per_second(TimePoint now) const { return faded(now) / kMemorySeconds; }
  double faded_sum(TimePoint now) const { return faded(now); }

 private:
  static constexpr double kMemorySeconds = 0.5;

  double faded(TimePoint now) const {
    if (count_ == 0 || now <= at_) {
      return count_;
    }
    return count_ * std::exp(-std::chrono::duration<double>(now - at_).count() / kMemorySeconds);
  }

  double count_ = 0;
  TimePoint at_{};
};

}  // namespace tessera::sched
