// What the holder of the role does: messages to events, actions to deeds.
#include <algorithm>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "runtime/assembly.h"
#include "runtime/dispatcher.h"

namespace tessera::runtime {
namespace {

Refusal refusal_of(sched::RejectReason reason) {
  switch (reason) {
    case sched::RejectReason::kTimeout:
      return Refusal::kTimeout;
    case sched::RejectReason::kDeadline:
      return Refusal::kDeadline;
    case sched::RejectReason::kQueueFull:
      return Refusal::kQueueFull;
    case sched::RejectReason::kModelGone:
      return Refusal::kModelGone;
    case sched::RejectReason::kDeviceDown:
      return Refusal::kDeviceDown;
    case sched::RejectReason::kStuck:
      return Refusal::kFaultHere;
    case sched::RejectReason::kTooManyRows:
      return Refusal::kTooManyRows;
  }
  return Refusal::kTimeout;
}

}  // namespace

Dispatcher::Counted Dispatcher::counted_as(Refusal why) {
  switch (why) {
    case Refusal::kTimeout:
      return {Failure::kTimeout, true};
    case Refusal::kDeadline:
      return {Failure::kDeadline, true};
    case Refusal::kQueueFull:
      return {Failure::kQueueFull, true};
    case Refusal::kModelGone:
    case Refusal::kStopped:
      return {Failure::kModelGone, false};
    case Refusal::kDeviceDown:
    case Refusal::kFaultHere:
      return {Failure::kDevice, true};
    case Refusal::kFault:
      return {Failure::kEngine, true};
    case Refusal::kTooManyRows:
      return {Failure::kInvalid, false};
    case Refusal::kCancelled:
      return {Failure::kCancelled, false};
  }
  return {Failure::kInvalid, false};
}

void Dispatcher::handle(Message& message, Turn& turn) {
  const TimePoint at = now();
  if (at >= timer_at_) {
    timer_at_ = kNever;
    feed(sched::TimerFired{}, at, turn);
  }
  switch (message.kind) {
    case Message::Kind::kArrival:
      handle_arrival(*static_cast<Ticket*>(message.about), at, turn);
      break;
    case Message::Kind::kCancel:
      handle_cancel(*static_cast<Ticket*>(message.about), at, turn);
      break;
    case Message::Kind::kLaunchEnded:
      handle_ended(*static_cast<LaunchRecord*>(message.about), at, turn);
      break;
    case Message::Kind::kCopyEnded:
      handle_copy_ended(*static_cast<CopyRecord*>(message.about), at, turn);
      break;
    case Message::Kind::kTimer:
      timer_posted_.store(false);  // what was due has been done above
      if (timer_at_ != kNever) {
        timer_.set(timer_at_);
      }
      break;
    case Message::Kind::kControl:
      handle_control(*static_cast<ControlMessage*>(message.about), at, turn);
      break;
    case Message::Kind::kDeviceDown:
      handle_down(at, turn);
      break;
    case Message::Kind::kStop:
      stopped_ = true;
      refuse_all_waiting(Refusal::kStopped, turn);
      end_loader_wait(false);
      end_lane_wait(false);
      stop_signal_.release();
      break;
  }
}

void Dispatcher::feed(const sched::Event& event, TimePoint at, Turn& turn) {
  if (stopped_) {
    return;
  }
  actions_.clear();
  scheduler_.on_event(event, at, actions_);
  if (recording_.to != nullptr) {
    recording_.to->step(recording_.device, at, event, actions_);
  }
  for (const sched::Action& action : actions_) {
    std::visit([&](const auto& what) { perform(what, at, turn); }, action);
  }
}

void Dispatcher::handle_arrival(Ticket& ticket, TimePoint at, Turn& turn) {
  if (ticket.state != Ticket::State::kPosted) {
    refuse(ticket, Refusal::kCancelled, turn);  // its cancellation came first
    return;
  }
  ticket.state = Ticket::State::kWaiting;
  ticket.served->counters->arrived();
  ticket.copied.clear();
  ticket.last_copy = {};
  if (stopped_ || is_down()) {
    refuse(ticket, stopped_ ? Refusal::kStopped : Refusal::kDeviceDown, turn);
    return;
  }
  sched::Arrival arrival;
  arrival.request = ticket.id();
  arrival.instance = ticket.served->instance->id;
  arrival.shape = ticket.shape;
  arrival.rows = ticket.rows;
  arrival.priority = ticket.priority;
  arrival.arrival = ticket.arrived;
  arrival.timeout = ticket.timeout;
  arrival.poster_atom = ticket.poster_atom;
  const bool to_copy = copy_desk_.wants(ticket);
  arrival.input_ready = !to_copy || copy_desk_.may_go_at_once(ticket);
  feed(arrival, at, turn);
  if (to_copy && ticket.state == Ticket::State::kWaiting) {
    copy_desk_.add(ticket, scheduler_.deadline(arrival.request));
    issue_copies(at, turn);
  }
}

void Dispatcher::issue_copies(TimePoint at, Turn& turn) {
  inputs_ready_.clear();
  copy_desk_.issue(at, inputs_ready_);
  for (const sched::InputReady& ready : inputs_ready_) {
    feed(ready, at, turn);
  }
}

void Dispatcher::handle_copy_ended(CopyRecord& record, TimePoint at, Turn& turn) {
  copy_desk_.ended(record);
  if (!stopped_) {
    issue_copies(at, turn);
  }
}

void Dispatcher::handle_cancel(Ticket& ticket, TimePoint at, Turn& turn) {
  if (ticket.state == Ticket::State::kPosted) {
    ticket.state = Ticket::State::kRefused;  // handle_arrival answers it
  } else if (ticket.state == Ticket::State::kWaiting) {
    refuse(ticket, Refusal::kCancelled, turn);
    feed(sched::Cancelled{ticket.id()}, at, turn);
  }
  const std::uint64_t before = ticket.word.fetch_and(~Ticket::kCancelPosted);
  if ((before & Ticket::kAnswered) != 0) {
    recycle(ticket);
  }
}

void Dispatcher::handle_ended(LaunchRecord& record, TimePoint at, Turn& turn) {
  if (record.accepted && !stopped_) {  // once stopped, the device is being destroyed and drops what waits
    device_.retire(record.id());
  }
  record.kept.clear();
  record.ready = at;
  if (record.completion.status.ok()) {
    if (Status checked = check_outputs(record); !checked.ok()) {
      record.completion.status = std::move(checked);
    }
  }
  count(record);
  turn.ended.push(record);
  sched::LaunchEnded ended;
  ended.launch = record.scheduled;
  ended.ok = record.completion.status.ok();
  ended.ran = record.completion.ran;
  ended.started = record.completion.started;
  ended.ended = record.completion.ended;
  ended.blur = record.completion.blur;
  feed(ended, at, turn);
  if (atoms_lost_ > 0) {
    count_atoms_lost();
  }
  note_fastest(*record.served);
  publish_load(*record.served);
}

void Dispatcher::count(LaunchRecord& record) {
  const device::Completion& completion = record.completion;
  ModelCounters& counters = *record.served->counters;
  const bool ok = completion.status.ok();
  const BatchTimes times{record.launched, completion.started, completion.ended, record.ready};
  if (completion.ran) {
    launch_count_.add(1);
    for (std::uint16_t atom = record.slice.first; atom < record.slice.end(); ++atom) {
      busy_ns_[atom].add(static_cast<std::uint64_t>((completion.ended - completion.started).count()));
    }
    counters.batch_ended(record.batch.rows, record.slice, times, ok);
  }
  if (may_be_taken_over(record)) {
    return;  // counted where the requests end
  }
  for (const Ticket* ticket = record.first; ticket != nullptr; ticket = ticket->next) {
    if (ok) {
      counters.request_ended(ticket->arrived, ticket->rows, times);
    } else {
      const bool lost = completion.status.error().code() == ErrorCode::kDeviceLost;
      counters.fail(lost ? Failure::kDevice : Failure::kEngine, record.ready - ticket->arrived, true);
    }
  }
}

void Dispatcher::handle_control(ControlMessage& control, TimePoint at, Turn& turn) {
  const std::unique_ptr<ControlMessage> owned(&control);
  if (control.look) {
    control.look(scheduler_, at);
    control.applied->release();
    return;
  }
  if (const auto* up = std::get_if<sched::ModelUp>(&control.event)) {
    instances_[up->instance.value] = control.served;
    feed(control.event, at, turn);
    note_fastest(*control.served);
    publish_load(*control.served);
    return;
  } else if (std::holds_alternative<sched::LoaderWants>(control.event)) {
    loader_waits_ = true;
    if (stopped_ || is_down() || stuck_now_ > 0) {
      end_loader_wait(false);
      return;
    }
  } else if (std::holds_alternative<sched::LaneWanted>(control.event)) {
    lane_waits_ = true;
    if (stopped_ || is_down() || stuck_now_ > 0) {
      end_lane_wait(false);
      return;
    }
  } else if (const auto* changed = std::get_if<sched::ParamsChanged>(&control.event)) {
    control.served->counters->set_params(changed->params);
  } else if (const auto* down = std::get_if<sched::ModelDown>(&control.event)) {
    if (const sched::Profile* profile = scheduler_.profile(down->instance)) {
      control.served->last_profile = *profile;
    }
    if (stopped_) {
      control.served->drained.release();
      return;
    }
  }
  feed(control.event, at, turn);
  if (std::holds_alternative<sched::ParamsChanged>(control.event)) {
    note_fastest(*control.served);
  } else if (const auto* measured = std::get_if<sched::Measured>(&control.event)) {
    const auto found = instances_.find(measured->instance.value);
    if (found != instances_.end()) {
      note_fastest(*found->second);
    }
  }
  if (control.applied != nullptr) {
    control.applied->release();
  }
}

void Dispatcher::publish_load() { neighbours_.load->set(scheduler_.load(now())); }

// After what changes predictions or what runs; what waits is counted anyway.
void Dispatcher::publish_load(ServedInstance& served) {
  if (is_chosen_by_load()) {
    served.load.set(scheduler_.load(served.instance->id));
  }
}

void Dispatcher::perform(const sched::StartLaunch& action, TimePoint at, Turn& turn) {
  LaunchRecord* record = make_record(action, at);
  if (record != nullptr) {
    publish_load(*record->served);
    launch(*record, action, turn);
    return;
  }
  // More launches at once than max_running: the scheduler is told that this one failed.
  for (const RequestId request : action.requests) {
    if (Ticket* ticket = waiting_ticket(request)) {
      refuse(*ticket, Refusal::kQueueFull, turn);
    }
  }
  send(sched::LaunchEnded{action.launch, false, false, at, at, {}}, nullptr);
}

LaunchRecord* Dispatcher::make_record(const sched::StartLaunch& action, TimePoint at) {
  LaunchRecord* record = launches_.take();
  if (record == nullptr) {
    return nullptr;
  }
  record->scheduled = action.launch;
  record->slice = action.slice;
  record->accepted = false;
  record->launched = at;
  record->completion = device::Completion{};
  Chain<Ticket> members;
  for (const RequestId request : action.requests) {
    Ticket* ticket = waiting_ticket(request);
    TESSERA_CHECK(ticket != nullptr);
    ticket->state = Ticket::State::kLaunched;
    ticket->served->counters->left_queue();
    members.push(*ticket);
  }
  TESSERA_CHECK(!members.empty());
  record->first = members.first();
  record->served = record->first->served;
  return record;
}

void Dispatcher::launch(LaunchRecord& record, const sched::StartLaunch& action, Turn& turn) {
  const device::Plan* plan = record.served->plans.find(action.slice, action.bucket, action.lane);
  if (plan == nullptr) {
    fail_launch(record, internal_error("model '" + record.served->instance->name + "' has no plan for its slice"));
    return;
  }
  assemble(record, action.bucket);
  device::Launch launch;
  launch.id = record.id();
  launch.instance = action.instance;
  launch.lane = action.lane;
  launch.slice = action.slice;
  launch.after = action.after_lane_only ? device::After::kLane : device::After::kOverlap;
  launch.plan = plan;
  launch.batch = &record.batch;
  for (const Ticket* ticket = record.first; ticket != nullptr; ticket = ticket->next) {
    launch.after_copy = std::max(launch.after_copy, ticket->last_copy);
  }
  launch.may_run_here = turn.to_run == nullptr && action.slice.count == 1 && turn.atom == action.slice.first &&
                        action.predicted < turn.run_budget;
  record.accepted = true;  // the device may complete it before launch() returns
  const auto started = device_.launch(launch);
  if (!started.ok()) {
    record.accepted = false;
    fail_launch(record, started.error());
    return;
  }
  if (*started == device::Started::kRunHere) {
    TESSERA_CHECK(launch.may_run_here);
    turn.to_run = &record;
    turn.run_budget -= action.predicted;
  }
}

// The scheduler hears of it as of any other launch that ended, after the actions under way.
void Dispatcher::fail_launch(LaunchRecord& record, Error error) {
  record.completion.id = record.id();
  record.completion.status = std::move(error);
  record.completion.ran = false;
  record.completion.started = record.completion.ended = record.launched;
  inbox_.push(record.ended);
}

void Dispatcher::perform(const sched::Reject& action, TimePoint, Turn& turn) {
  if (Ticket* ticket = waiting_ticket(action.request)) {
    ticket->retry_after = action.retry_after;
    ticket->error = ticket->served->stuck.load(std::memory_order_relaxed) ? ticket->served->stuck_with : held_up_;
    refuse(*ticket, refusal_of(action.reason), turn);
  }
}

void Dispatcher::perform(const sched::SetTimer& action, TimePoint, Turn&) {
  timer_at_ = action.at;
  timer_.set(action.at);
}

void Dispatcher::perform(const sched::PrepareHome& action, TimePoint, Turn&) {
  if (!homes_.prepare || !homes_.prepare(action)) {
    home_failed({action.instance, action.bucket, action.lane, action.slice, false});
  }
}

void Dispatcher::perform(const sched::DropHome& action, TimePoint, Turn&) {
  const auto found = instances_.find(action.instance.value);
  if (found != instances_.end()) {
    found->second->plans.set(action.slice, action.bucket, action.lane, nullptr);
  }
  if (homes_.drop) {
    homes_.drop(action);
  }
}

void Dispatcher::perform(const sched::GrantLoader&, TimePoint, Turn&) { end_loader_wait(true); }

void Dispatcher::perform(const sched::GrantLane& action, TimePoint, Turn&) {
  if (lane_waits_) {
    end_lane_wait(true);
  } else {  // who waited for it has given up, as the device is down
    give_back_lane(action.instance, action.lane);
  }
}

void Dispatcher::perform(const sched::InstanceDrained& action, TimePoint, Turn&) {
  const auto found = instances_.find(action.instance.value);
  if (found == instances_.end()) {
    return;
  }
  if (const sched::Profile* profile = scheduler_.profile(action.instance)) {
    found->second->last_profile = *profile;
  }
  found->second->drained.release();
  instances_.erase(found);
}

void Dispatcher::end_loader_wait(bool granted) {
  if (loader_waits_) {
    loader_waits_ = false;
    loader_granted_ = granted;
    loader_signal_.release();
  }
}

void Dispatcher::end_lane_wait(bool granted) {
  if (lane_waits_) {
    lane_waits_ = false;
    lane_granted_ = granted;
    lane_signal_.release();
  }
}

void Dispatcher::refuse(Ticket& ticket, Refusal why, Turn& turn) {
  if (ticket.state == Ticket::State::kWaiting) {
    ticket.served->counters->left_queue();
    copy_desk_.forget(ticket);
  }
  ticket.state = Ticket::State::kRefused;
  ticket.refusal = why;
  turn.refused.push(ticket);
  if (taker(why) != nullptr) {
    return;  // likely to end there: see hand_over()
  }
  const Counted counted = counted_as(why);
  ticket.served->counters->fail(counted.failure, now() - ticket.arrived, counted.missed_slo);
}

// The scheduler speaks of requests that wait; what is gone already (its rejection crossed a cancellation) is ignored.
Ticket* Dispatcher::waiting_ticket(RequestId request) {
  Ticket* ticket = tickets_.at(slot_index(request.value));
  const bool waits = ticket != nullptr && ticket->id() == request && ticket->state == Ticket::State::kWaiting;
  return waits ? ticket : nullptr;
}

}  // namespace tessera::runtime
