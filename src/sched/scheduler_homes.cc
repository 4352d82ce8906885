// Where plans are homed: what is ready, what is asked for, and what goes for it.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "sched/scheduler_state.h"

namespace tessera::sched {

void Scheduler::State::handle(const SliceReady& event) {
  Instance* instance = find(event.instance);
  const auto slice = view_.device.index_of(event.slice);
  if (instance == nullptr || !slice) {
    return;  // the instance went away while its slice was being homed
  }
  std::optional<std::size_t> lane;
  std::optional<std::size_t> bucket;
  if (event.lane) {
    lane = event.lane->value;
    TESSERA_CHECK(*lane < instance->lanes.size());
  }
  if (event.bucket) {
    bucket = instance->place_of(*event.bucket);
  }
  const std::size_t asked = instance->homes.lazy() ? instance->homes.count_asked() : 0;
  const std::size_t added = instance->homes.add(lane, *slice, bucket, now_);
  note_bucket(*instance);
  if (instance->homes.lazy()) {
    homes_held_ += added;
    const std::size_t came = asked - instance->homes.count_asked();
    homes_asked_ -= came;
    all_in_advance_ = all_in_advance_ && came == added;  // the loader has captured one more
  }
}

// Buckets that have come hold requests that waited for them.
void Scheduler::State::note_bucket(Instance& instance) {
  const std::size_t before = instance.buckets_there;
  const auto captured = [&](std::size_t bucket) {
    for (std::size_t lane = 0; lane < instance.lanes.size(); ++lane) {
      if (instance.homes.captured(lane, bucket)) {
        return true;
      }
    }
    return false;
  };
  while (instance.buckets_there < instance.params->buckets.size() && captured(instance.buckets_there)) {
    ++instance.buckets_there;
  }
  if (instance.buckets_there == before) {
    return;
  }
  ++view_.instances_version;
  const auto still = std::stable_partition(instance.parked.begin(), instance.parked.end(), [&](const Request* request) {
    return request->arrival.rows > instance.max_rows();
  });
  const std::vector<Request*> held(still, instance.parked.end());
  instance.parked.erase(still, instance.parked.end());
  for (Request* request : held) {
    request->parked = false;
    if (request->arrival.input_ready) {
      enqueue(*request);
    }
  }
}

void Scheduler::State::handle(const BucketsEnd& event) {
  Instance* instance = find(event.instance);
  if (instance == nullptr) {
    return;
  }
  instance->buckets_end = true;
  while (!instance->parked.empty()) {
    reject(*instance->parked.front(), RejectReason::kTooManyRows);
  }
}

void Scheduler::State::handle(const Measured& event) {
  Instance* instance = find(event.instance);
  if (instance != nullptr) {
    instance->profile.add({event.bucket, view_.device.shape().processors_in(event.slice), event.took});
    read_profile(*instance);
  }
}

void Scheduler::State::handle(const HomeFailed& event) {
  Instance* instance = find(event.instance);
  const auto slice = view_.device.index_of(event.slice);
  if (instance == nullptr || !slice || event.lane.value >= instance->lanes.size()) {
    return;
  }
  if (instance->homes.fail({event.lane.value, *slice, instance->place_of(event.bucket)}, event.for_good)) {
    --homes_asked_;
  }
  if (!event.for_good) {
    no_home_before_ = now_ + kHomePause;
    all_in_advance_ = true;  // until something changes: what is wanted goes first where memory is short
  }
}

void Scheduler::State::want_home(const WantedHome& wanted) {
  Instance* instance = find(wanted.instance);
  const auto slice = view_.device.index_of(wanted.slice);
  TESSERA_CHECK(instance != nullptr && slice.has_value());
  if (!instance->homes.lazy() || instance->draining || down_) {
    return;
  }
  if (wanted.bucket) {
    want_one_lane(*instance, *slice, *wanted.bucket);
    return;
  }
  for (std::size_t lane = 0; lane < instance->lanes.size(); ++lane) {
    for (std::size_t bucket = 0; bucket < instance->params->buckets.size(); ++bucket) {
      ask_home(*instance, {lane, *slice, bucket});
    }
  }
}

// Later lanes are used seldom, and each home holds launches up while it is made: with four lanes asked for at once,
// what was of use came four times as late (decision 088).
void Scheduler::State::want_one_lane(Instance& instance, std::size_t slice, std::size_t bucket) {
  std::optional<std::size_t> chosen;
  bool free = false;
  for (std::size_t lane = 0; lane < instance.lanes.size(); ++lane) {
    const HomePlace place{lane, slice, bucket};
    if (instance.homes.asked(place)) {
      return;
    }
    const bool usable = instance.lanes[lane].usable();
    if (instance.homes.may_ask(place) && (!chosen || (usable && !free))) {
      chosen = lane;
      free = usable;
    }
  }
  if (chosen) {
    ask_home(instance, {*chosen, slice, bucket});
  }
}

void Scheduler::State::home_in_advance() {
  if (all_in_advance_ || homes_asked_ > 0 || now_ < no_home_before_ || down_ || !policy_->uses_all_slices() ||
      (!launches_.empty() && now_ < in_advance_at_) ||
      static_cast<double>(homes_held_) >= kInAdvance * static_cast<double>(limits_.max_homes)) {
    return;
  }
  std::size_t lanes = 0;
  for (const auto& instance : view_.instances) {
    lanes = std::max(lanes, instance->lanes.size());
  }
  for (std::size_t lane = 0; lane < lanes; ++lane) {  // the first ones are used most
    if (ask_in_advance(lane)) {
      in_advance_at_ = now_ + kInAdvancePause;
      return;
    }
  }
  all_in_advance_ = true;
}

// Those batch sizes, a bit for each, that a slice of the group runs within the objective, as far as is known.
std::uint32_t Scheduler::State::worth_homing(const Instance& instance, std::size_t group) {
  std::uint32_t buckets = 0;
  for (std::size_t bucket = 0; bucket < instance.params->buckets.size(); ++bucket) {
    const bool in_time =
        !instance.params->slo || !instance.table.known() || instance.table.at(bucket, group) <= *instance.params->slo;
    buckets |= in_time ? std::uint32_t{1} << bucket : 0;
  }
  return buckets;
}

// The first that may be asked for, of all models in large slices before any in small ones, which are more. False: none.
bool Scheduler::State::ask_in_advance(std::size_t lane) {
  for (std::size_t group = view_.device.groups(); group-- > 0;) {
    for (const auto& instance : view_.instances) {
      if (lane >= instance->lanes.size() || instance->draining || instance->only_slice ||
          !instance->groups.contains(group)) {
        continue;
      }
      const std::uint32_t buckets = worth_homing(*instance, group);
      for (const std::size_t slice : view_.device.group_slices(group)) {
        if (const auto bucket = instance->homes.first_to_ask(lane, slice, buckets)) {
          ask_home(*instance, {lane, slice, *bucket});
          return true;
        }
      }
    }
  }
  return false;
}

// Without a home in the whole device a plan might never run again, so these are asked for beyond all limits.
void Scheduler::State::ask_home(Instance& instance, const HomePlace& place) {
  if (!instance.homes.may_ask(place)) {
    return;
  }
  if (place.slice != view_.device.whole()) {
    if (homes_asked_ >= limits_.max_homes_asked || now_ < no_home_before_) {
      return;
    }
    while (homes_held_ + homes_asked_ >= limits_.max_homes) {
      if (!drop_one_home()) {
        return;
      }
    }
  }
  instance.homes.ask(place);
  ++homes_asked_;
  out_->push_back(PrepareHome{instance.id, instance.params->buckets[place.bucket],
                              LaneIndex{static_cast<std::uint16_t>(place.lane)},
                              view_.device.slice(place.slice).slice});
}

// What the loader does with a lane it does beside the scheduler, so such a lane's homes stay.
bool Scheduler::State::drop_one_home() {
  Instance* from = nullptr;
  Homes::Unused oldest;
  for (const auto& instance : view_.instances) {
    idle_lanes_.assign(instance->lanes.size(), 0);
    for (std::size_t lane = 0; lane < instance->lanes.size(); ++lane) {
      idle_lanes_[lane] = instance->lanes[lane].lent || instance->lanes[lane].wanted ? 0 : 1;
    }
    const auto unused = instance->homes.longest_unused(view_.device.whole(), idle_lanes_);
    if (unused && (from == nullptr || unused->since < oldest.since)) {
      from = instance.get();
      oldest = *unused;
    }
  }
  if (from == nullptr || now_ - oldest.since < kHomeKept) {
    no_home_before_ = from == nullptr ? now_ + kHomePause : oldest.since + kHomeKept;
    return false;
  }
  from->homes.drop(oldest.place);
  --homes_held_;
  out_->push_back(DropHome{from->id, from->params->buckets[oldest.place.bucket],
                           LaneIndex{static_cast<std::uint16_t>(oldest.place.lane)},
                           view_.device.slice(oldest.place.slice).slice});
  return true;
}

}  // namespace tessera::sched
