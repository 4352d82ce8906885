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
  const std::size_t asked = instance->homes.lazy() ? instance->homes.asked() : 0;
  const std::size_t added = instance->homes.add(lane, *slice, bucket, now_);
  note_bucket(*instance);
  if (instance->homes.lazy()) {
    homes_held_ += added;
    homes_asked_ -= asked - instance->homes.asked();
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
  }
}

void Scheduler::State::want_home(const WantedHome& wanted) {
  Instance* instance = find(wanted.instance);
  const auto slice = view_.device.index_of(wanted.slice);
  TESSERA_CHECK(instance != nullptr && slice.has_value());
  if (!instance->homes.lazy() || instance->draining || down_) {
    return;
  }
  const std::size_t first = wanted.bucket.value_or(0);
  const std::size_t end = wanted.bucket ? first + 1 : instance->params->buckets.size();
  for (std::size_t lane = 0; lane < instance->lanes.size(); ++lane) {
    for (std::size_t bucket = first; bucket < end; ++bucket) {
      ask_home(*instance, {lane, *slice, bucket});
    }
  }
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
