// A model loaded on the scheduler's device: what it may do, what it holds, what it is predicted to take.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "sched/co_run.h"
#include "sched/homes.h"
#include "sched/model_params.h"
#include "sched/occupancy.h"
#include "sched/profile.h"
#include "sched/rate_estimator.h"
#include "sched/waiting.h"

namespace tessera::sched {

// Groups of slices: all from `first` to before `end`. Value.
struct GroupRange {
  std::size_t first = 0;
  std::size_t end = 0;
  bool contains(std::size_t group) const { return group >= first && group < end; }
};

// Predicted latency by (bucket, group of slices): the profile read out once, so that a decision costs a table look-up.
// Value, owned by the scheduler's thread.
class LatencyTable {
 public:
  // Latencies are those beside as many busy atoms as usual. Of `groups` the fastest and the most efficient are found.
  void read(const Profile& profile, const CoRun& co_run, const ModelParams& params, const Occupancy& device,
            const GroupRange& groups);

  bool known() const { return known_; }
  Duration at(std::size_t bucket, std::size_t group) const { return latencies_[bucket * groups_ + group]; }
  Duration fastest(std::size_t bucket) const { return fastest_[bucket]; }
  // Of one row at the batch and slice sizes that take least, where that is known.
  double processor_ns_per_row() const { return processor_ns_per_row_; }
  // Of one row at the batch size that takes least in the fastest slice; zero where nothing is known.
  Duration fastest_row() const { return fastest_row_; }
  // The shortest run that was measured, alone in the slice where it is shortest; zero until the largest slice that the
  // model can have was measured, too.
  Duration fastest_measured() const { return fastest_measured_; }
  Duration margin() const { return margin_; }
  std::uint32_t version() const { return version_; }  // of this table, counted up

 private:
  bool known_ = false;
  std::size_t groups_ = 0;
  std::vector<Duration> latencies_;
  std::vector<Duration> fastest_;  // by bucket, over all groups
  double processor_ns_per_row_ = 0;
  Duration fastest_row_{0};
  Duration fastest_measured_{0};
  Duration margin_{0};
  std::uint32_t version_ = 0;
  std::uint32_t profile_version_ = 0;
  double usual_factor_ = 1;  // of the model's co-run, when it was read
};

struct Lane {
  bool busy = false;    // a launch uses it
  bool lent = false;    // the loader has it
  bool wanted = false;  // the loader waits for it: no new launches
  bool usable() const { return !busy && !lent && !wanted; }
};

struct ModelUp;

// Owned by the scheduler; policies see it const.
struct Instance {
  Instance(const ModelUp& up, const Occupancy& device);

  InstanceId id;
  std::shared_ptr<const ModelParams> params;
  Profile profile;
  LatencyTable table;
  CoRun co_run;
  bool draining = false;
  bool shapes_vary = false;  // a prediction may have been made for another shape
  std::size_t stuck = 0;     // launches of it that do not end
  std::size_t index = 0;     // place in View::instances

  std::vector<Lane> lanes;
  std::size_t launches = 0;                     // not ended
  std::size_t running = 0;                      // requests in them
  std::uint32_t atoms_held = 0;                 // by them, those of committed ones as well
  std::vector<std::uint16_t> launches_on;       // by atom: how many of them
  void hold(const Slice& slice, int launches);  // so many more there, or with -1 fewer
  std::map<ShapeId, std::unique_ptr<ShapeQueue>> queues;
  std::map<std::uint32_t, std::size_t> waiting_by_level;
  std::size_t waiting = 0;  // with and without their input

  std::uint64_t rows_arrived = 0;   // admitted, ever
  std::uint64_t rows_given_up = 0;  // of these, rejected before they ran

  double missed = 0;    // share of its requests that were not answered in time, lately
  double spares = 1.0;  // part of the device that models without an objective may hold, by what it missed (lending.h)
  void note_fate(bool in_time);

  RateEstimator rate;     // rows arriving
  RateEstimator service;  // processor-seconds spent
  TimePoint last_arrival = TimePoint::min();
  // Nobody calls it: it says nothing of how others fare, and does not hold them up.
  bool is_idle(TimePoint now) const;
  // What it asks for matters to nobody. The rate fades, so this is so a few seconds after a single call.
  bool is_seldom_called(TimePoint now) const;
  TimePoint last_launch = TimePoint::min();
  TimePoint try_again_at = TimePoint::min();  // of an objective that nothing measured meets; min: not asked for yet
  std::optional<ShapeId> base_shape;          // the one whose runs correct the profile itself
  double mean_factor = 1.0;                   // of the shapes seen running, relative to the base shape

  // Of a bucket there is.
  std::size_t place_of(std::int32_t bucket) const;
  // The smallest bucket that holds `rows`, or the largest there is.
  std::size_t bucket_for(std::int64_t rows) const;
  // Of a request, by the model's configuration.
  std::int32_t request_rows() const { return params->max_batch_size > 0 ? params->max_batch_size : 1; }
  // Of a batch: what the buckets hold that there are.
  std::int32_t max_rows() const {
    return std::min(request_rows(), params->buckets[buckets_there > 0 ? buckets_there - 1 : 0]);
  }

  std::size_t buckets_there = 0;  // so many of the smallest ones
  bool buckets_end = false;       // and no more come
  std::vector<Request*> parked;   // wait for a bucket that holds them, in no queue; in the order of arrival

  // Where it can run at all: in one slice only, by its place on the ladder, where it cannot be put elsewhere; else
  // nothing, and all groups.
  std::optional<std::size_t> only_slice;
  GroupRange groups;

  // Whether its objective is shorter than any run of it that was measured. Other shapes may take less, though.
  bool is_beyond_reach() const { return params->slo && !shapes_vary && *params->slo < table.fastest_measured(); }
  // Its requests are rejected as they arrive, but for a trial now and then: it asks for nothing.
  bool is_refused() const { return is_beyond_reach() && params->slo_policy == SloPolicy::kReject; }

  // Homed plans: without one a slice is not an option.
  Homes homes;
  bool homed(std::size_t lane, std::size_t slice, std::size_t bucket) const {
    return homes.there({lane, slice, bucket});
  }
  bool homed_in_any_lane(std::size_t slice, std::size_t bucket) const;
  // Whether some lane lacks it, and it is not known to be impossible there.
  bool may_get_home(std::size_t slice, std::size_t bucket) const;
  // A usable lane with a plan for the bucket in that slice.
  std::optional<std::size_t> free_lane(std::size_t slice, std::size_t bucket) const;
  bool any_free_lane() const {
    if (params->preserve_ordering && launches > 0) {
      return false;  // two batches at once could end out of order
    }
    return std::any_of(lanes.begin(), lanes.end(), [](const Lane& lane) { return lane.usable(); });
  }
  std::size_t usable_lanes() const;
};

}  // namespace tessera::sched
