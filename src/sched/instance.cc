#include "sched/instance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "sched/events.h"

namespace tessera::sched {
namespace {

constexpr double kLessForMiss = 0.125;  // of the device
constexpr double kMoreInTime = 0.0005;  // likewise: what is spared stays as it is where four in a thousand miss
constexpr double kLately = 0.003;       // weight of one request in the share of those that were not in time
constexpr Duration kUsedLately = std::chrono::seconds(5);
constexpr double kSeldom = 0.1;             // rows a second
constexpr double kNoticeableFactor = 0.02;  // change of the co-run factor that is worth reading the profile again

GroupRange groups_of(const Occupancy& device, std::optional<std::size_t> only_slice) {
  if (!only_slice) {
    return {0, device.groups()};
  }
  const std::size_t group = device.slice(*only_slice).group;
  return {group, group + 1};
}

}  // namespace

void LatencyTable::read(const Profile& profile, const CoRun& co_run, const ModelParams& params, const Occupancy& device,
                        const GroupRange& groups) {
  const double usual_factor = co_run.usual(1);
  if (version_ > 0 && profile_version_ == profile.version() &&
      std::abs(usual_factor - usual_factor_) < kNoticeableFactor) {
    return;
  }
  usual_factor_ = usual_factor;
  profile_version_ = profile.version();
  ++version_;
  groups_ = device.groups();
  margin_ = profile.margin();
  latencies_.assign(params.buckets.size() * groups_, Duration{0});
  fastest_.assign(params.buckets.size(), kForever);
  known_ = !profile.empty();
  processor_ns_per_row_ = 0;
  fastest_row_ = Duration{0};
  if (!known_) {
    return;
  }
  std::int32_t most = 0;
  for (std::size_t group = groups.first; group < groups.end; ++group) {
    most = std::max(most, device.group_processors(group));
  }
  fastest_measured_ = profile.fastest(most).value_or(Duration{0});
  double least = std::numeric_limits<double>::infinity();
  Duration fastest_row = kForever;
  for (std::size_t group = 0; group < groups_; ++group) {
    Profile::Curve curve(profile, device.group_processors(group));
    const double factor = co_run.usual(device.others_share(group));
    for (std::size_t bucket = 0; bucket < params.buckets.size(); ++bucket) {
      const auto latency = static_cast<double>(curve.at(params.buckets[bucket]).count());
      const Duration usual(static_cast<Duration::rep>(latency * factor));
      latencies_[bucket * groups_ + group] = usual;
      if (!groups.contains(group)) {
        continue;
      }
      fastest_[bucket] = std::min(fastest_[bucket], usual);
      const auto work = static_cast<double>(usual.count()) * device.group_processors(group);
      least = std::min(least, work / params.buckets[bucket]);
    }
  }
  for (std::size_t bucket = 0; bucket < params.buckets.size(); ++bucket) {
    fastest_row = std::min(fastest_row, fastest_[bucket] / params.buckets[bucket]);
  }
  processor_ns_per_row_ = least;
  fastest_row_ = fastest_row;
}

void Instance::note_fate(bool in_time) {
  missed += kLately * ((in_time ? 0.0 : 1.0) - missed);
  spares = std::clamp(spares + (in_time ? kMoreInTime : -kLessForMiss), 0.0, 1.0);
}

Instance::Instance(const ModelUp& up, const Occupancy& device)
    : id(up.instance),
      params(up.params),
      profile(up.profile),
      shapes_vary(up.shapes_vary),
      lanes(params->lanes),
      launches_on(device.shape().atoms(), 0),
      base_shape(up.base_shape),
      buckets_there(up.all_buckets ? params->buckets.size() : 0),
      only_slice(up.only_slice ? device.index_of(*up.only_slice) : std::nullopt),
      groups(groups_of(device, only_slice)),
      homes(params->lanes, device.slices().size(), params->buckets.size(), up.lazy_homes, up.all_buckets) {
  TESSERA_CHECK(std::is_sorted(params->buckets.begin(), params->buckets.end()) && params->buckets.front() > 0);
  TESSERA_CHECK(params->buckets.back() >= request_rows());
  TESSERA_CHECK(params->lanes > 0);
  table.read(profile, co_run, *params, device, groups);
}

void Instance::hold(const Slice& slice, int launches) {
  atoms_held += static_cast<std::uint32_t>(launches * slice.count);
  for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
    launches_on[atom] = static_cast<std::uint16_t>(launches_on[atom] + launches);
  }
}

bool Instance::is_idle(TimePoint now) const {
  return last_arrival == TimePoint::min() || now - last_arrival > kUsedLately;
}

bool Instance::is_seldom_called(TimePoint now) const { return rate.per_second(now) < kSeldom; }

std::size_t Instance::place_of(std::int32_t bucket) const {
  const auto at = std::lower_bound(params->buckets.begin(), params->buckets.end(), bucket);
  TESSERA_CHECK(at != params->buckets.end() && *at == bucket);
  return static_cast<std::size_t>(at - params->buckets.begin());
}

std::size_t Instance::bucket_for(std::int64_t rows) const {
  const auto& buckets = params->buckets;
  const auto at = std::lower_bound(buckets.begin(), buckets.end(), rows);
  return at == buckets.end() ? buckets.size() - 1 : static_cast<std::size_t>(at - buckets.begin());
}

bool Instance::homed_in_any_lane(std::size_t slice, std::size_t bucket) const {
  for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
    if (homed(lane, slice, bucket)) {
      return true;
    }
  }
  return false;
}

bool Instance::may_get_home(std::size_t slice, std::size_t bucket) const {
  for (std::size_t lane = 0; homes.lazy() && lane < lanes.size(); ++lane) {
    if (homes.captured(lane, bucket) && !homed(lane, slice, bucket) && !homes.impossible({lane, slice, bucket})) {
      return true;
    }
  }
  return false;
}

std::size_t Instance::usable_lanes() const {
  const auto usable = [](const Lane& lane) { return lane.usable(); };
  return static_cast<std::size_t>(std::count_if(lanes.begin(), lanes.end(), usable));
}

std::optional<std::size_t> Instance::free_lane(std::size_t slice, std::size_t bucket) const {
  if (params->preserve_ordering && launches > 0) {
    return std::nullopt;
  }
  for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
    if (lanes[lane].usable() && homed(lane, slice, bucket)) {
      return lane;
    }
  }
  return std::nullopt;
}

}  // namespace tessera::sched
