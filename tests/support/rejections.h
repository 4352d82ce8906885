// Whether requests that were turned away before their deadline could have been served, by what a virtual run recorded.
#pragma once

#include <algorithm>
#include <cstddef>

#include "tests/support/virtual_world.h"

namespace tessera::testing {

// Of a virtual run. Value.
struct EarlyRejections {
  std::size_t all = 0;
  std::size_t wrong = 0;        // a gap from the rejection on would have done
  std::size_t wrong_alone = 0;  // of these: nothing of their model was launched at the moment of their rejection
  std::size_t missed = 0;       // a gap from the arrival on would have done: those, and what was not used before

  double right() const { return all == 0 ? 1.0 : 1.0 - static_cast<double>(wrong) / static_cast<double>(all); }
  double not_missed() const { return all == 0 ? 1.0 : 1.0 - static_cast<double>(missed) / static_cast<double>(all); }
  EarlyRejections& operator+=(const EarlyRejections& other) {
    all += other.all;
    wrong += other.wrong;
    wrong_alone += other.wrong_alone;
    missed += other.missed;
    return *this;
  }
};

// A request that was turned away because of its objective, and before that was over, is wrongly so where a batch of it
// alone would have found, with everything else as it was, a gap in which it ends in time: atoms of one slice that are
// idle for as long as the run takes, not lent, with one lane of its model free all the while and homed there. Each is
// looked at by itself, so two may count for one gap; none of the models may have a share or a timeout.
inline EarlyRejections early_rejections(World& world) {
  EarlyRejections found;
  std::set<std::pair<InstanceId, TimePoint>> launched;
  for (const Run& run : world.timeline().runs()) {
    launched.insert({run.instance, run.taken.from});
  }
  for (const auto& asked : world.fates()) {
    const auto& fate = asked.second;
    const sched::ModelParams& params = world.params(fate.instance);
    if (!fate.rejected || fate.reason != sched::RejectReason::kDeadline ||
        *fate.rejected >= fate.arrival + *params.slo) {
      continue;
    }
    ++found.all;
    const Truth& truth = world.truth(fate.instance);
    const std::int32_t bucket = params.buckets.front();
    const auto could = [&](TimePoint from) {
      const auto in = [&](const Slice& slice) {
        const Duration run = truth(bucket, world.shape().processors_in(slice));
        for (std::uint16_t lane = 0; lane < params.lanes; ++lane) {
          if (world.timeline().gap({fate.instance, slice, bucket, LaneIndex{lane}}, {from, fate.arrival + *params.slo},
                                   run)) {
            return true;
          }
        }
        return false;
      };
      return std::any_of(world.shape().ladder.begin(), world.shape().ladder.end(), in);
    };
    if (could(*fate.rejected)) {
      ++found.wrong;
      ++found.missed;
      found.wrong_alone += launched.count({fate.instance, *fate.rejected}) == 0 ? 1 : 0;
    } else if (could(fate.arrival)) {
      ++found.missed;
    }
  }
  return found;
}

}  // namespace tessera::testing
