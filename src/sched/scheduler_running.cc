// What runs: launches and their ends, what is learned from them, and what is lent to the loader.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "sched/scheduler_state.h"

namespace tessera::sched {
namespace {

// A run whose moments are known no better than to this part of its time teaches nothing of it.
constexpr int kClear = 4;

}  // namespace

void Scheduler::State::launch(const BatchDecision& decision) {
  Instance* instance = find(decision.instance);
  TESSERA_CHECK(instance != nullptr);
  const auto found = instance->queues.find(decision.shape);
  TESSERA_CHECK(found != instance->queues.end());
  ShapeQueue& queue = *found->second;
  TESSERA_CHECK(decision.requests > 0 && static_cast<std::size_t>(decision.requests) <= queue.size());
  const auto slice = view_.device.index_of(decision.slice);
  TESSERA_CHECK(slice.has_value());
  const std::size_t bucket = instance->place_of(decision.bucket);
  const std::size_t lane = decision.lane.value;
  TESSERA_CHECK(lane < instance->lanes.size() && instance->lanes[lane].usable());
  TESSERA_CHECK(instance->homed(lane, *slice, bucket));

  StartLaunch start;
  start.launch = LaunchId{next_launch_++};
  start.instance = instance->id;
  start.bucket = decision.bucket;
  start.lane = decision.lane;
  start.slice = decision.slice;
  start.after_lane_only = policy_->waits_for_lanes_alone();
  const bool known = instance->table.known();
  const std::size_t group = view_.device.slice(*slice).group;
  const double busy = view_.device.busy_beside(*slice);
  start.predicted =
      known ? View::scaled(view_.predicted(queue, bucket, group), view_.beside(*instance, group, busy)) : kForever;
  start.requests.reserve(static_cast<std::size_t>(decision.requests));
  TimePoint deadline = kNever;
  for (std::int32_t taken = 0; taken < decision.requests; ++taken) {
    Request& request = *queue.entries().begin()->request;
    start.requests.push_back(request.arrival.request);
    start.rows += request.arrival.rows;
    deadline = std::min(deadline, request.deadline);
    forget(request);  // may let go of the queue with its last request
  }
  TESSERA_CHECK(start.rows <= decision.bucket);

  const bool at_once = view_.device.idle(*slice);
  const Duration occupies = known ? start.predicted : Duration{0};
  view_.device.add(start.launch, *slice, now_, occupies);
  instance->lanes[lane].busy = true;
  instance->homes.begin_use({lane, *slice, bucket});
  ++instance->launches;
  instance->running += start.requests.size();
  instance->hold(decision.slice, 1);
  instance->last_launch = now_;
  const double seconds = std::chrono::duration<double>(occupies).count();
  instance->service.add(seconds * view_.device.slice(*slice).processors, now_);
  launches_.emplace(start.launch, Launched{instance, decision.shape, bucket, lane, *slice, now_, at_once, busy,
                                           start.requests.size(), deadline});
  if (limits_.overdue) {
    const Duration expected = known ? start.predicted + instance->table.margin() : kForever;
    const Duration limit = limits_.overdue->limit(expected, !instance->shapes_vary);
    overdue_at_ =
        std::min(overdue_at_, overdue_.begin({start.launch, start.slice, start.after_lane_only, limit}, now_));
  }
  out_->push_back(std::move(start));
}

void Scheduler::State::handle(const LaunchEnded& event) {
  const auto found = launches_.find(event.launch);
  TESSERA_CHECK(found != launches_.end());
  const Launched launched = found->second;
  launches_.erase(found);
  Instance& instance = *launched.instance;
  if (launched.lost) {
    view_.device.find_again(view_.device.slice(launched.slice).slice);
    note_lost();
  } else {
    view_.device.remove(event.launch, event.ran ? event.ended : now_, now_);
  }
  if (launched.stuck) {
    --instance.stuck;
    out_->push_back(StuckEnded{event.launch, instance.id});
  }
  overdue_at_ = std::min(overdue_at_, overdue_.end(event.launch, now_));
  Lane& lane = instance.lanes[launched.lane];
  TESSERA_CHECK(lane.busy);
  lane.busy = false;
  instance.homes.end_use({launched.lane, launched.slice, launched.bucket}, now_);
  --instance.launches;
  instance.running -= launched.requests;
  for (std::size_t i = 0; i < launched.requests; ++i) {
    instance.note_fate(event.ok && (i > 0 || now_ <= launched.deadline));  // mostly the first one alone is late
  }
  instance.hold(view_.device.slice(launched.slice).slice, -1);
  if (event.ok && event.ran && !launched.lost && event.blur * kClear <= event.ended - event.started) {
    learn(launched, event);
  }
  if (lane.wanted) {
    grant_lane(instance, launched.lane);
  }
}

void Scheduler::State::look_for_stuck() {
  if (now_ < overdue_at_) {
    return;
  }
  while (const auto id = overdue_.due(now_)) {
    condemn(*id);
  }
  overdue_at_ = overdue_.next();
}

void Scheduler::State::condemn(LaunchId id) {
  const auto found = launches_.find(id);
  TESSERA_CHECK(found != launches_.end());
  Launched& launched = found->second;
  launched.stuck = true;
  ++launched.instance->stuck;
  lose(id);
  std::vector<LaunchId> behind = overdue_.behind(id);
  for (const LaunchId other : behind) {
    lose(other);
  }
  note_lost();
  forget_loader();
  out_->push_back(LaunchStuck{id, now_ - launched.at, std::move(behind)});
  reject_all(all_lost_ ? nullptr : launched.instance, RejectReason::kStuck);
}

// What it was not granted yet.
void Scheduler::State::forget_loader() {
  if (loader_ == Loader::kClosing) {
    view_.device.unblock();
  }
  if (loader_ != Loader::kLent) {
    loader_ = Loader::kAway;
  }
  for (const auto& instance : view_.instances) {
    for (Lane& lane : instance->lanes) {
      lane.wanted = false;
    }
  }
}

void Scheduler::State::lose(LaunchId id) {
  const auto found = launches_.find(id);
  TESSERA_CHECK(found != launches_.end());
  if (!std::exchange(found->second.lost, true)) {
    view_.device.lose(id, now_);
  }
}

void Scheduler::State::read_profile(Instance& instance) {
  const std::uint32_t before = instance.table.version();
  instance.table.read(instance.profile, instance.co_run, *instance.params, view_.device, instance.groups);
  view_.instances_version += instance.table.version() != before ? 1 : 0;
}

void Scheduler::State::learn(const Launched& launched, const LaunchEnded& event) {
  Instance& instance = *launched.instance;
  const Duration took = event.ended - event.started;
  if (instance.is_beyond_reach() && took <= *instance.params->slo) {
    instance.try_again_at = std::min(instance.try_again_at, now_);  // what was measured is wrong, or no longer so
  }
  const std::int32_t bucket = instance.params->buckets[launched.bucket];
  const std::size_t group = view_.device.slice(launched.slice).group;
  if (!instance.base_shape) {
    instance.base_shape = launched.shape;
  }
  if (launched.shape == *instance.base_shape) {
    const Duration overhead = launched.at_once ? std::max(Duration{0}, (now_ - launched.at) - took) : Duration{0};
    const double factor = instance.co_run.factor(launched.busy_beside);
    // Beside the whole device there is nobody.
    if (instance.table.known() && launched.at_once && view_.device.others_share(group) > 0) {
      const double usual = instance.co_run.usual(view_.device.others_share(group));
      const double alone = static_cast<double>(instance.table.at(launched.bucket, group).count()) / usual;
      instance.co_run.observe(launched.bucket * view_.device.groups() + group, launched.busy_beside,
                              static_cast<double>(took.count()) / alone);
    }
    instance.profile.observe(bucket, view_.device.group_processors(group), View::scaled(took, 1 / factor), overhead);
    read_profile(instance);
    return;
  }
  const auto queue = instance.queues.find(launched.shape);
  const Duration base = instance.table.known() ? instance.table.at(launched.bucket, group) : Duration{0};
  if (queue == instance.queues.end() || base <= Duration{0}) {
    return;
  }
  const double factor = static_cast<double>(took.count()) / static_cast<double>(base.count());
  queue->second->observe_factor(factor);
  instance.mean_factor += 0.1 * (factor - instance.mean_factor);
}

void Scheduler::State::handle(const LoaderWants& event) {
  TESSERA_CHECK(loader_ == Loader::kAway);
  TESSERA_CHECK(event.slice.count > 0 && event.slice.end() <= view_.device.shape().atoms());
  loader_ = Loader::kWaiting;
  loader_wants_ = event;
  loader_since_ = now_;
}

void Scheduler::State::handle(const LoaderDone&) {
  TESSERA_CHECK(loader_ == Loader::kLent);
  loader_ = Loader::kAway;
  view_.device.unblock();
}

void Scheduler::State::lend() {
  if (loader_ == Loader::kWaiting && now_ - loader_since_ >= kLoaderPatience) {
    loader_ = Loader::kClosing;
    view_.device.block(loader_wants_.slice);
  }
  const bool waits = loader_ == Loader::kWaiting || loader_ == Loader::kClosing;
  // A device that is down will not run anything: the loader's step finds that out by itself.
  if (!waits || (!down_ && !view_.device.drained(loader_wants_.slice))) {
    return;
  }
  if (loader_ == Loader::kWaiting) {
    if (!down_ && !policy_->may_lend(view_, now_, loader_wants_.slice, loader_wants_.expected)) {
      return;
    }
    view_.device.block(loader_wants_.slice);
  }
  loader_ = Loader::kLent;
  out_->push_back(GrantLoader{});
}

void Scheduler::State::handle(const LaneWanted& event) {
  Instance* instance = find(event.instance);
  TESSERA_CHECK(instance != nullptr && event.lane.value < instance->lanes.size());
  Lane& lane = instance->lanes[event.lane.value];
  TESSERA_CHECK(!lane.wanted && !lane.lent);
  lane.wanted = true;
  if (!lane.busy) {
    grant_lane(*instance, event.lane.value);
  }
}

void Scheduler::State::grant_lane(Instance& instance, std::size_t lane) {
  instance.lanes[lane].wanted = false;
  instance.lanes[lane].lent = true;
  out_->push_back(GrantLane{instance.id, LaneIndex{static_cast<std::uint16_t>(lane)}});
}

void Scheduler::State::handle(const LaneDone& event) {
  Instance* instance = find(event.instance);
  TESSERA_CHECK(instance != nullptr && event.lane.value < instance->lanes.size());
  Lane& lane = instance->lanes[event.lane.value];
  TESSERA_CHECK(lane.lent);
  lane.lent = false;
}

}  // namespace tessera::sched
