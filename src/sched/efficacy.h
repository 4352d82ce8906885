// The knee of a model: the batch and slice that answer most for what they take.
//
// A. Dhakal, S. G. Kulkarni, K. K. Ramakrishnan: D-STACK, IEEE Transactions on Cloud Computing 12(4), 2024
// (arXiv:2304.13541): of largest efficacy, batch / (latency^2 * share), among those with assembly time + latency <=
// SLO.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/time.h"

namespace tessera::sched {

// Of equal devices alone, since the share is in processors: rows / (seconds^2 * processors).
inline double efficacy(double rows, Duration latency, std::int32_t processors) {
  const double seconds = std::max(1.0, static_cast<double>(latency.count())) * 1e-9;
  return rows / (seconds * seconds * processors);
}

// What a batch at the knee has to keep. Value.
struct KneeLimits {
  Duration slo = kForever;
  double rows_per_second = std::numeric_limits<double>::infinity();  // that arrive

  // A request waits for the batch to be assembled, or for the run that it just missed, which is as long as its own.
  bool keeps(double rows, Duration latency) const {
    constexpr double kRunsOfAnSlo = 2.0;
    if (slo == kForever) {
      return true;
    }
    const auto run = static_cast<double>(latency.count());
    const auto limit = static_cast<double>(slo.count());
    return (rows - 1) / rows_per_second * 1e9 + run <= limit && kRunsOfAnSlo * run <= limit;
  }
};

}  // namespace tessera::sched
