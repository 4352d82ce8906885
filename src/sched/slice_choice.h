// Which batch on which slice: the device as one decision sees it, with slices set aside for batches that wait for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "sched/policy.h"
#include "sched/target.h"
#include "sched/view.h"

namespace tessera::sched {

// How many atoms an instance may take beside what it holds: its max_share.
std::uint16_t atoms_left(const Instance& instance, const Occupancy& device);

struct Option {
  std::size_t bucket = 0;
  std::size_t group = 0;
  std::size_t slice = 0;
  double score = 0;
  Duration latency{0};
  // Where the model's lanes would be busy all the time with batches like this, or it takes the last that is free: rows
  // per time in a lane, and per processor beyond the lane's part of the device (for the last one, half of that). 0:
  // there are lanes enough.
  double lane_score = 0;
  bool with_margin = true;  // what runs may take longer is allowed for
};

// Owned by its policy; good for one decision.
class SliceChoice {
 public:
  void look(const View& view, TimePoint now);

  bool anything_open() const { return anything_open_; }
  // When the first slice of that group is free, and the last group has one.
  TimePoint group_start(std::size_t group) const { return group_start_[group]; }
  TimePoint last_start() const { return last_start_; }

  // The most efficient batch that could begin now and be in time, with headroom where there is a choice. For one that
  // has no deadline, or has lost it, the most efficient of all; but where it is much faster in slices that are no
  // smaller than its part, if all who could run now shared the device alike, in these: smaller ones leave processors
  // idle. In slices of the groups below `groups` alone.
  std::optional<Option> now(const View& view, const ShapeQueue& queue, const Target& target, bool bound,
                            std::size_t groups, Decisions& out) const;
  // The most efficient batch that could begin on a busy slice and still be in time.
  std::optional<Option> soon(const View& view, const ShapeQueue& queue, const Target& target, Decisions& out) const;
  // That batch in a slice of that group, where one is free and homed; where only the home is missing, it is asked for.
  std::optional<Option> at(const View& view, const ShapeQueue& queue, std::size_t bucket, std::size_t group,
                           Decisions* ask) const;
  // With nothing known of a model: the largest slice that is free teaches most.
  std::optional<Option> largest(const View& view, const ShapeQueue& queue, Decisions& out) const;

  // Sets the slice aside: from its start on it belongs to somebody who waits for it.
  void claim(const View& view, const Option& option);

 private:
  enum class Demand { kWhatever, kFillingDevice, kInTime, kWithMargin, kWithHeadroom };
  struct Claim {
    Slice slice;
    TimePoint from;
  };

  TimePoint soonest(const View& view, const Instance& instance, std::size_t group) const;
  std::optional<Option> placed(const View& view, const ShapeQueue& queue, const Target& target, Demand demand,
                               std::size_t groups, Decisions& out) const;
  std::optional<Option> best(const View& view, const ShapeQueue& queue, const Target& target, Demand demand,
                             std::size_t groups, std::uint64_t without) const;
  static bool better(const Option& one, const Option& than);
  Duration predicted_now(const View& view, const ShapeQueue& queue, std::size_t bucket, std::size_t group) const {
    return View::scaled(view.predicted(queue, bucket, group), view.beside(queue.instance(), group, busy_));
  }
  // A free slice that is homed. Where there is only one that is not: nothing, and that is asked for, where it may be.
  std::optional<std::size_t> pick(const View& view, const ShapeQueue& queue, std::size_t bucket, std::size_t group,
                                  TimePoint until, Decisions* ask) const;

  // The group of the largest slices of which every batch that runs, or could run now, gets one.
  static std::size_t fair_group(const View& view);

  TimePoint now_{};
  double busy_ = 0;               // share of the atoms
  std::vector<char> group_open_;  // a slice of that size could be launched on now
  std::vector<TimePoint> group_start_;
  TimePoint last_start_{};
  bool anything_open_ = false;
  std::vector<Claim> claims_;
};

}  // namespace tessera::sched
