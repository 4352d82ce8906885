#include "sched/guard.h"

#include <algorithm>

namespace tessera::sched {
namespace {

constexpr Duration kReadEvery = std::chrono::milliseconds(100);

}  // namespace

Duration bounded_margin(Duration margin, Duration objective, Duration latency) {
  return std::clamp(margin, Duration{0}, std::max(Duration{0}, (objective - latency) / 2));
}

std::uint16_t atoms_of(double share, const Occupancy& device) {
  return share <= 0.0 ? 0 : static_cast<std::uint16_t>(std::max(1.0, share * device.shape().atoms() + 1e-9));
}

void Guard::refresh(const View& view, TimePoint now) {
  const bool same = instances_version_ == view.instances_version && use_version_ == view.use_version;
  if (!same || read_at_ == TimePoint::min() || now - read_at_ >= kReadEvery) {
    read(view, now);
  }
}

void Guard::read(const View& view, TimePoint now) {
  instances_version_ = view.instances_version;
  use_version_ = view.use_version;
  read_at_ = now;
  const std::size_t groups = view.device.groups();
  least_wait_.assign(groups, kForever);
  any_bound_ = false;
  std::size_t used = 0;
  for (const auto& instance : view.instances) {
    const ModelParams& params = *instance->params;
    if (!params.slo || instance->is_idle(now) || instance->draining || instance->stuck > 0 ||
        !instance->table.known()) {
      continue;
    }
    if (rows_.size() == used) {
      rows_.emplace_back();
    }
    Row& row = rows_[used];
    row.instance = instance.get();
    any_bound_ = any_bound_ || instance->only_slice.has_value();
    row.may_wait.assign(groups, Duration{-1});
    const GroupRange& its = instance->groups;
    bool possible = false;
    for (std::size_t group = its.first; group < its.end; ++group) {
      const Duration latency = instance->table.at(0, group);
      row.may_wait[group] = *params.slo - latency - bounded_margin(instance->table.margin(), *params.slo, latency);
      possible = possible || row.may_wait[group] >= Duration{0};
    }
    if (!possible) {
      continue;  // nothing that others do could make it meet its objective
    }
    for (std::size_t group = 0; group < groups; ++group) {
      least_wait_[group] = std::min(least_wait_[group], row.may_wait[group]);
    }
    ++used;
  }
  rows_.resize(used);
}

bool Guard::allows(const View& view, TimePoint now, const Slice& taken, TimePoint until) {
  if (rows_.empty()) {
    return true;
  }
  const std::size_t groups = view.device.groups();
  starts_.assign(groups, kNever);
  before_.assign(groups, kNever);
  for (const Occupancy::SliceState& state : view.device.slices()) {
    if (state.blocked) {
      continue;
    }
    const TimePoint start = std::max(now, state.free_at);
    before_[state.group] = std::min(before_[state.group], start);
    starts_[state.group] = std::min(starts_[state.group], state.slice.overlaps(taken) ? std::max(start, until) : start);
  }
  for (std::size_t group = 0; group < groups && !any_bound_; ++group) {
    if (starts_[group] != kNever && starts_[group] - now <= least_wait_[group]) {
      return true;
    }
  }
  return std::all_of(rows_.begin(), rows_.end(), [&](const Row& row) {
    TimePoint with = kNever;
    TimePoint without = kNever;
    const GroupRange& its = row.instance->groups;
    for (std::size_t group = its.first; group < its.end; ++group) {
      TimePoint start = starts_[group];
      TimePoint before = before_[group];
      if (row.instance->only_slice) {  // other slices of its size are of no use to it
        const Occupancy::SliceState& state = view.device.slice(*row.instance->only_slice);
        before = state.blocked ? kNever : std::max(now, state.free_at);
        start = !state.blocked && state.slice.overlaps(taken) ? std::max(before, until) : before;
      }
      if (start != kNever && start - now <= row.may_wait[group]) {
        return true;
      }
      const Duration latency = row.instance->table.at(0, group);
      with = std::min(with, add_saturating(start, latency));
      without = std::min(without, add_saturating(before, latency));
    }
    return with <= without;
  });
}

bool Guard::leaves_reserved(const View& view, TimePoint now, const Instance& taker, const Slice& taken,
                            TimePoint until) {
  const Occupancy& device = view.device;
  for (const Instance* owner : view.reserving) {
    const ModelParams& params = *owner->params;
    if (owner == &taker || owner->draining || owner->stuck > 0) {
      continue;
    }
    // Of one that runs in one slice only, that slice is what it can have.
    const Slice its = owner->only_slice ? device.slice(*owner->only_slice).slice : device.shape().whole();
    const std::uint32_t floor = std::min<std::uint32_t>(atoms_of(params.reserved_share, device), its.count);
    // Until when lent atoms must be back. An owner without an SLO needs them only while something of it waits.
    TimePoint back_by = now;
    if (params.reserved_lend && ((!params.slo && owner->waiting == 0) || !owner->table.known())) {
      continue;
    }
    // One slice of its own, always the same: the last of the largest ones within the floor.
    const Occupancy::SliceState* kept = &device.slices().front();
    for (const Occupancy::SliceState& state : device.slices()) {
      const bool fits = state.slice.count <= floor && its.contains(state.slice.first) && state.slice.end() <= its.end();
      kept = fits && state.slice.count >= kept->slice.count ? &state : kept;
    }
    if (params.reserved_lend && params.slo) {
      const Duration latency = owner->table.at(0, kept->group);
      back_by =
          std::max(now, now + *params.slo - latency - bounded_margin(owner->table.margin(), *params.slo, latency));
    }
    // What the owner runs on is its own, but not what is taken behind that.
    const auto in_time = [&](std::uint16_t atom) {
      const bool is_taken = taken.contains(atom);
      const TimePoint free_at = is_taken ? until : device.atom_free_at(atom);
      return (!is_taken && (device.atom_idle(atom) || owner->launches_on[atom] > 0)) ||
             (free_at > now && free_at <= back_by);
    };
    std::uint32_t atoms = 0;
    for (std::uint16_t atom = its.first; atom < its.end(); ++atom) {
      atoms += in_time(atom) ? 1 : 0;
    }
    // So many here and there are no slice.
    bool in_one = true;
    for (std::uint16_t atom = kept->slice.first; atom < kept->slice.end(); ++atom) {
      in_one = in_one && in_time(atom);
    }
    if (atoms < floor || !in_one) {
      return false;
    }
  }
  return true;
}

}  // namespace tessera::sched
