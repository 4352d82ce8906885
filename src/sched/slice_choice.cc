#include "sched/slice_choice.h"

#include <algorithm>
#include <tuple>

#include "sched/guard.h"

namespace tessera::sched {
namespace {

// A batch without a deadline takes more than the most efficient slice where it is long, and that much faster there.
constexpr Duration kWorthSpreading = std::chrono::microseconds(200);
constexpr double kMuchFaster = 0.75;
constexpr double kLastLane = 0.5;        // what a lane's part of the device counts where it is the last one free
constexpr std::size_t kClaims = 4;       // of one decision
constexpr std::size_t kOptionBits = 64;  // options that can be ruled out one by one

}  // namespace

std::uint16_t atoms_left(const Instance& instance, const Occupancy& device) {
  if (instance.params->max_share >= 1.0 && device.shape().atoms() > instance.atoms_held) {
    return static_cast<std::uint16_t>(device.shape().atoms() - instance.atoms_held);
  }
  // At least what its smallest launch takes: with less it would wait for ever.
  const std::uint16_t least = instance.only_slice ? device.slice(*instance.only_slice).slice.count : 1;
  const std::uint32_t most = std::max(least, atoms_of(instance.params->max_share, device));
  return static_cast<std::uint16_t>(most > instance.atoms_held ? most - instance.atoms_held : 0);
}

void SliceChoice::look(const View& view, TimePoint now) {
  now_ = now;
  claims_.clear();
  group_open_.assign(view.device.groups(), 0);
  group_start_.assign(view.device.groups(), kNever);
  anything_open_ = false;
  busy_ = 1.0 - static_cast<double>(view.device.idle_atoms()) / view.device.shape().atoms();
  for (std::size_t index = 0; index < view.device.slices().size(); ++index) {
    const Occupancy::SliceState& state = view.device.slice(index);
    if (state.blocked) {
      continue;
    }
    group_start_[state.group] = std::min(group_start_[state.group], std::max(now, state.free_at));
    if (view.launchable(index, now)) {
      group_open_[state.group] = 1;
      anything_open_ = true;
    }
  }
  last_start_ = *std::max_element(group_start_.begin(), group_start_.end());
}

std::size_t SliceChoice::fair_group(const View& view) {
  std::size_t batches = view.device.in_flight();
  for (const ShapeQueue* queue : view.active) {
    const Instance& instance = queue->instance();
    const std::size_t lanes = instance.usable_lanes();
    const std::int64_t most = std::max(1, instance.max_rows());
    batches += std::min<std::size_t>(lanes, static_cast<std::size_t>((queue->rows() + most - 1) / most));
  }
  const std::int32_t all = view.device.group_processors(view.device.groups() - 1);
  const auto part = all / static_cast<std::int32_t>(std::max<std::size_t>(batches, 1));
  std::size_t group = 0;
  while (group + 1 < view.device.groups() && view.device.group_processors(group + 1) <= part) {
    ++group;
  }
  return group;
}

std::optional<Option> SliceChoice::now(const View& view, const ShapeQueue& queue, const Target& target, bool bound,
                                       std::size_t groups, Decisions& out) const {
  if (!bound) {
    const auto efficient = placed(view, queue, target, Demand::kWhatever, groups, out);
    if (!efficient || efficient->latency < kWorthSpreading) {
      return efficient;
    }
    const auto filling = placed(view, queue, target, Demand::kFillingDevice, groups, out);
    return filling && ns(filling->latency) < kMuchFaster * ns(efficient->latency) ? filling : efficient;
  }
  for (const Demand demand : {Demand::kWithHeadroom, Demand::kWithMargin, Demand::kInTime}) {
    if (auto option = placed(view, queue, target, demand, groups, out)) {
      option->with_margin = demand != Demand::kInTime;
      return option;
    }
  }
  return std::nullopt;
}

// The best option for which there is a slice that is homed, free and not claimed.
std::optional<Option> SliceChoice::placed(const View& view, const ShapeQueue& queue, const Target& target,
                                          Demand demand, std::size_t groups, Decisions& out) const {
  const std::size_t first = queue.instance().bucket_for(queue.head().arrival.rows);
  std::uint64_t without = 0;  // options that have none
  const std::size_t asked = out.wanted_homes.size();
  while (std::optional<Option> option = best(view, queue, target, demand, groups, without)) {
    // Only for the best one a home is asked for.
    Decisions* ask = out.wanted_homes.size() == asked ? &out : nullptr;
    if (const auto slice = pick(view, queue, option->bucket, option->group, now_ + option->latency, ask)) {
      option->slice = *slice;
      return option;
    }
    const std::size_t bit = (option->bucket - first) * view.device.groups() + option->group;
    if (bit >= kOptionBits) {
      break;
    }
    without |= std::uint64_t{1} << bit;
  }
  return std::nullopt;
}

std::optional<Option> SliceChoice::best(const View& view, const ShapeQueue& queue, const Target& target, Demand demand,
                                        std::size_t groups, std::uint64_t without) const {
  const Instance& instance = queue.instance();
  const std::size_t first = instance.bucket_for(queue.head().arrival.rows);
  const std::size_t last = std::max(first, instance.bucket_for(target.rows));
  const std::size_t fair = demand == Demand::kFillingDevice ? fair_group(view) : 0;
  const std::size_t smallest = std::max(instance.groups.contains(fair) ? fair : instance.groups.first,
                                        demand >= Demand::kInTime ? target.least_group : 0);
  const double lanes_part = static_cast<double>(view.device.group_processors(view.device.groups() - 1)) /
                            std::max<int>(1, instance.params->lanes);
  const bool last_lane = instance.lanes.size() > 1 && instance.usable_lanes() == 1;
  std::optional<Option> best;
  for (std::size_t bucket = first; bucket <= last; ++bucket) {
    const std::int64_t rows = std::min<std::int64_t>(target.rows, instance.params->buckets[bucket]);
    for (std::size_t group = smallest; group < groups; ++group) {
      const std::size_t bit = (bucket - first) * view.device.groups() + group;
      if (group_open_[group] == 0 || (bit < kOptionBits && (without >> bit & 1U) != 0)) {
        continue;
      }
      const Duration latency = predicted_now(view, queue, bucket, group);
      // A slice that is open may still be busy with what the batch would be committed behind.
      const Duration slack = target.deadline == kNever ? kForever : target.deadline - group_start_[group];
      const Headroom headroom(instance, target.margin, target.rate, view.device.at_once(group));
      if ((demand >= Demand::kInTime && latency > slack) ||
          (demand >= Demand::kWithMargin && latency + target.margin > slack) ||
          (demand >= Demand::kWithHeadroom && !headroom.leaves(latency, rows, slack))) {
        continue;
      }
      const std::int32_t processors = view.device.group_processors(group);
      Option option{bucket, group, 0, score_of(rows, latency, processors), latency};
      const bool lanes_enough = headroom.leaves_lanes(latency, rows);
      if (demand >= Demand::kInTime && (last_lane || !lanes_enough)) {
        const double counts_as = lanes_part * (lanes_enough ? kLastLane : 1.0);
        option.lane_score = score_of(rows, latency, std::max(processors, static_cast<std::int32_t>(counts_as)));
      }
      if (!best || better(option, *best)) {
        best = option;
      }
    }
  }
  return best;
}

// Whether a later one, of more rows or in larger slices, is to be taken.
bool SliceChoice::better(const Option& one, const Option& than) {
  if (one.lane_score > 0 || than.lane_score > 0) {
    return than.lane_score > 0 && (one.lane_score == 0 || one.lane_score > than.lane_score);
  }
  return one.score > than.score * (one.bucket == than.bucket ? kSimilarScore : 1.0);
}

// When a slice of the group that is not open will be free for the instance; kNever where one is open, or none will be.
TimePoint SliceChoice::soonest(const View& view, const Instance& instance, std::size_t group) const {
  if (instance.only_slice) {
    const std::size_t only = *instance.only_slice;
    const bool waits = !view.device.slice(only).blocked && !view.launchable(only, now_);
    return waits ? view.device.start_on(only, now_) : kNever;
  }
  return group_open_[group] != 0 ? kNever : group_start_[group];
}

std::optional<Option> SliceChoice::soon(const View& view, const ShapeQueue& queue, const Target& target,
                                        Decisions& out) const {
  const Instance& instance = queue.instance();
  if (target.deadline == kNever) {
    return std::nullopt;
  }
  const std::size_t last = instance.bucket_for(target.rows);
  std::optional<Option> best;
  for (std::size_t bucket = instance.bucket_for(queue.head().arrival.rows); bucket <= last; ++bucket) {
    const std::int64_t rows = std::min<std::int64_t>(target.rows, instance.params->buckets[bucket]);
    for (std::size_t group = target.least_group; group < instance.groups.end; ++group) {
      const TimePoint start = soonest(view, instance, group);
      if (start == kNever) {
        continue;
      }
      const Duration latency = view.predicted(queue, bucket, group);
      const double score = score_of(rows, latency, view.device.group_processors(group));
      if (add_saturating(start, latency + target.margin) > target.deadline) {
        continue;
      }
      if (!best || score > best->score) {
        best = Option{bucket, group, 0, score, latency};
      }
    }
  }
  if (best && instance.only_slice) {
    best->slice = *instance.only_slice;
    return best;
  }
  if (!best) {
    return std::nullopt;
  }
  bool homed = false;
  for (const std::size_t slice : view.device.group_slices(best->group)) {
    if (homed && !instance.homed_in_any_lane(slice, best->bucket)) {
      continue;
    }
    if (!view.device.slice(slice).blocked && view.device.start_on(slice, now_) == group_start_[best->group]) {
      best->slice = slice;
      homed = homed || instance.homed_in_any_lane(slice, best->bucket);
    }
  }
  if (!homed) {  // it is not waited for, but may be there the next time
    out.wanted_homes.push_back({instance.id, view.device.slice(best->slice).slice, best->bucket});
    return std::nullopt;
  }
  return best;
}

std::optional<Option> SliceChoice::at(const View& view, const ShapeQueue& queue, std::size_t bucket, std::size_t group,
                                      Decisions* ask) const {
  if (group_open_[group] == 0) {
    return std::nullopt;
  }
  const Duration latency = predicted_now(view, queue, bucket, group);
  const auto slice = pick(view, queue, bucket, group, now_ + latency, ask);
  return slice ? std::optional(Option{bucket, group, *slice, 0, latency}) : std::nullopt;
}

std::optional<Option> SliceChoice::largest(const View& view, const ShapeQueue& queue, Decisions& out) const {
  const Instance& instance = queue.instance();
  const std::size_t bucket = instance.bucket_for(take(queue, instance.max_rows()).rows);
  for (std::size_t group = instance.groups.end; group-- > instance.groups.first;) {
    const auto slice = group_open_[group] != 0 ? pick(view, queue, bucket, group, now_, &out) : std::nullopt;
    if (slice) {
      return Option{bucket, group, *slice, 0, Duration{0}};
    }
  }
  return std::nullopt;
}

void SliceChoice::claim(const View& view, const Option& option) {
  if (claims_.size() < kClaims) {
    claims_.push_back({view.device.slice(option.slice).slice, view.device.start_on(option.slice, now_)});
  }
}

// Aligned best fit: the idle slice with the least idle room around it, so that large ones stay whole, or the one that
// is free first; then the poster's own.
std::optional<std::size_t> SliceChoice::pick(const View& view, const ShapeQueue& queue, std::size_t bucket,
                                             std::size_t group, TimePoint until, Decisions* ask) const {
  const Instance& instance = queue.instance();
  const auto poster = queue.head().arrival.poster_atom;
  const std::uint16_t atoms = atoms_left(instance, view.device);
  using Rank = std::tuple<bool, TimePoint, int, bool>;
  struct Best {
    std::optional<std::size_t> slice;
    Rank rank;
  };
  Best homed;
  Best other;
  for (const std::size_t index : view.device.group_slices(group)) {
    const Slice slice = view.device.slice(index).slice;
    if (slice.count > atoms || !view.launchable(index, now_)) {
      continue;
    }
    const bool claimed = std::any_of(claims_.begin(), claims_.end(), [&](const Claim& claim) {
      return claim.slice.overlaps(slice) && until > claim.from;
    });
    if (claimed || !Guard::leaves_reserved(view, now_, instance, slice, until)) {
      continue;
    }
    const bool usable = instance.free_lane(index, bucket).has_value();
    if (!usable && !instance.may_get_home(index, bucket)) {
      continue;
    }
    const bool idle = view.device.idle(index);
    const Rank rank(!idle, view.device.start_on(index, now_), idle ? view.device.idle_run_around(slice) : 0,
                    !(poster && slice.contains(*poster)));
    Best& best = usable ? homed : other;
    if (!best.slice || rank < best.rank) {
      best = {index, rank};
    }
  }
  if (!homed.slice && other.slice && ask != nullptr) {
    ask->wanted_homes.push_back({instance.id, view.device.slice(*other.slice).slice, bucket});
  }
  return homed.slice;
}

}  // namespace tessera::sched
