#include "sched/scheduler.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

#include "base/check.h"
#include "sched/scheduler_state.h"

namespace tessera::sched {

bool Policy::may_lend(const View&, TimePoint, const Slice&, Duration) { return true; }

namespace {

constexpr Duration kNoAtomLeft = std::chrono::hours(1);  // then nobody waits for the device

std::uint16_t committed_per_atom(const std::unique_ptr<Policy>& policy, const SchedulerLimits& limits) {
  TESSERA_CHECK(policy != nullptr);
  constexpr std::uint16_t kAnyNumber = std::numeric_limits<std::uint16_t>::max() - 1;
  return policy->waits_for_lanes_alone() ? kAnyNumber : limits.committed_per_atom;
}

}  // namespace

Scheduler::State::State(DeviceShape shape, std::unique_ptr<Policy> policy, SchedulerLimits limits)
    : view_(std::move(shape), committed_per_atom(policy, limits),
            limits.committed_per_atom > 0 ? limits.run_ahead : Duration{0}),
      policy_(std::move(policy)),
      limits_(limits) {}

void Scheduler::State::on_event(const Event& event, TimePoint now, Actions& out) {
  TESSERA_CHECK(now >= now_);
  now_ = now;
  out_ = &out;
  std::visit([this](const auto& e) { handle(e); }, event);
  look_for_stuck();
  end_waits();
  lend();
  decide();
  let_go_of_drained();
  home_in_advance();
  set_timer();
  out_ = nullptr;
}

std::size_t Scheduler::State::place_of(InstanceId id) const {
  const auto at = std::lower_bound(instances_.begin(), instances_.end(), id,
                                   [](const auto& one, InstanceId of) { return one.first < of; });
  return static_cast<std::size_t>(at - instances_.begin());
}

Instance* Scheduler::State::find(InstanceId id) const {
  const std::size_t place = place_of(id);
  return place < instances_.size() && instances_[place].first == id ? instances_[place].second : nullptr;
}

TimePoint Scheduler::State::deadline(RequestId id) const {
  const auto found = requests_.find(id);
  return found == requests_.end() ? kNever : found->second.deadline;
}

const Profile* Scheduler::State::profile(InstanceId id) const {
  const Instance* instance = find(id);
  return instance == nullptr ? nullptr : &instance->profile;
}

Duration Scheduler::State::fastest_measured(InstanceId id) const {
  const Instance* instance = find(id);
  return instance == nullptr ? Duration{0} : instance->table.fastest_measured();
}

double Scheduler::State::beside_others(InstanceId id) const {
  const Instance* instance = find(id);
  return instance == nullptr ? 0 : instance->co_run.factor(1) - 1;
}

DeviceLoad Scheduler::State::load(TimePoint now) const {
  const double processors = view_.device.processors_not_lost();
  if (processors == 0) {
    return {now + kNoAtomLeft, now + kNoAtomLeft};
  }
  const double objectives = view_.device.processor_ns_left(now) + objectives_processor_ns_;
  const auto spread = [&](double work) { return now + Duration(static_cast<Duration::rep>(work / processors)); };
  return {spread(objectives + others_processor_ns_), spread(objectives)};
}

ModelLoad Scheduler::State::load(InstanceId id) const {
  const Instance* instance = find(id);
  if (instance == nullptr) {
    return {};
  }
  const bool known = instance->table.known();
  return {instance->table.fastest_row(), known ? instance->table.fastest(0) : Duration{0}, instance->waiting,
          instance->running};
}

double Scheduler::State::rows_per_second(InstanceId id, TimePoint now) const {
  const Instance* instance = find(id);
  return instance == nullptr ? 0 : instance->rate.per_second(now);
}

void Scheduler::State::handle(const TimerFired&) { timer_ = kNever; }

void Scheduler::State::handle(const ModelUp& event) {
  TESSERA_CHECK(event.params != nullptr && find(event.instance) == nullptr);
  auto instance = std::make_unique<Instance>(event, view_.device);
  instance->index = view_.instances.size();
  instances_.insert(instances_.begin() + static_cast<std::ptrdiff_t>(place_of(event.instance)),
                    {event.instance, instance.get()});
  view_.instances.push_back(std::move(instance));
  note_instances();
  all_in_advance_ = all_in_advance_ && !event.lazy_homes;
}

void Scheduler::State::note_instances() {
  ++view_.instances_version;
  view_.reserving.clear();
  for (const auto& instance : view_.instances) {
    if (instance->params->reserved_share > 0) {
      view_.reserving.push_back(instance.get());
    }
  }
}

void Scheduler::State::handle(const ModelDown& event) {
  Instance* instance = find(event.instance);
  TESSERA_CHECK(instance != nullptr && !instance->draining);
  instance->draining = true;
  ++draining_;
  while (!instance->parked.empty()) {
    reject(*instance->parked.front(), RejectReason::kModelGone);
  }
}

void Scheduler::State::handle(const DeviceDown&) {
  down_ = true;
  reject_all(nullptr, RejectReason::kDeviceDown);
}

// Launches of a policy that lets many share an atom may be more than the next one permits: their atoms are then closed
// to it until enough of them have ended.
void Scheduler::State::handle(const PolicyChanged& event) {
  auto next = make_policy(event.policy);
  TESSERA_CHECK(next.ok());
  policy_ = std::move(next).value();
  for (const auto& instance : view_.instances) {
    instance->missed = 0;  // what another one missed
  }
  view_.device.set_depth(static_cast<std::uint16_t>(1 + committed_per_atom(policy_, limits_)));
  all_in_advance_ = false;
}

void Scheduler::State::decide() {
  for (;;) {
    decisions_.clear();
    policy_->decide(view_, now_, decisions_);
    for (const RequestId id : decisions_.hopeless) {
      const auto found = requests_.find(id);
      TESSERA_CHECK(found != requests_.end());
      reject(found->second, RejectReason::kDeadline);
    }
    for (const BatchDecision& decision : decisions_.launches) {
      launch(decision);
    }
    // After the launches: what makes room for a new home may not be one that this decision uses.
    for (const WantedHome& wanted : decisions_.wanted_homes) {
      want_home(wanted);
    }
    if (decisions_.launches.empty() && decisions_.hopeless.empty()) {
      break;
    }
  }
  wake_up_ = decisions_.wake_up;
  TESSERA_CHECK(wake_up_ > now_);
}

void Scheduler::State::let_go_of_drained() {
  if (draining_ == 0) {
    return;
  }
  for (std::size_t index = 0; index < view_.instances.size();) {
    Instance& instance = *view_.instances[index];
    const bool lane_away = std::any_of(instance.lanes.begin(), instance.lanes.end(),
                                       [](const Lane& lane) { return lane.lent || lane.wanted; });
    if (!instance.draining || instance.waiting > 0 || instance.launches > 0 || lane_away) {
      ++index;
      continue;
    }
    out_->push_back(InstanceDrained{instance.id});
    homes_asked_ -= instance.homes.lazy() ? instance.homes.count_asked() : 0;
    homes_held_ -= instance.homes.lazy() ? instance.homes.held() : 0;
    all_in_advance_ = false;
    for (const auto& [shape, queue] : instance.queues) {
      view_.give_slot(queue->slot);
    }
    instances_.erase(instances_.begin() + static_cast<std::ptrdiff_t>(place_of(instance.id)));
    std::swap(view_.instances[index], view_.instances.back());
    view_.instances[index]->index = index;
    view_.instances.pop_back();
    note_instances();
    --draining_;
  }
}

void Scheduler::State::set_timer() {
  TimePoint next = std::min({wake_up_, moments_.earliest(), overdue_at_});
  if (loader_ == Loader::kWaiting) {
    next = std::min(next, loader_since_ + kLoaderPatience);
  }
  if (next != timer_) {
    timer_ = next;
    out_->push_back(SetTimer{next});
  }
}

Scheduler::Scheduler(DeviceShape shape, std::unique_ptr<Policy> policy, SchedulerLimits limits)
    : state_(std::make_unique<State>(std::move(shape), std::move(policy), limits)) {}
Scheduler::~Scheduler() = default;

void Scheduler::on_event(const Event& event, TimePoint now, Actions& out) { state_->on_event(event, now, out); }
std::size_t Scheduler::waiting() const { return state_->waiting(); }
std::size_t Scheduler::in_flight() const { return state_->in_flight(); }
std::uint16_t Scheduler::atoms_lost() const { return state_->atoms_lost(); }
DeviceLoad Scheduler::load(TimePoint now) const { return state_->load(now); }
ModelLoad Scheduler::load(InstanceId instance) const { return state_->load(instance); }
double Scheduler::rows_per_second(InstanceId instance, TimePoint now) const {
  return state_->rows_per_second(instance, now);
}
TimePoint Scheduler::deadline(RequestId request) const { return state_->deadline(request); }
const Profile* Scheduler::profile(InstanceId instance) const { return state_->profile(instance); }
Duration Scheduler::fastest_measured(InstanceId instance) const { return state_->fastest_measured(instance); }
double Scheduler::beside_others(InstanceId instance) const { return state_->beside_others(instance); }

}  // namespace tessera::sched
