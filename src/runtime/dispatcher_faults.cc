// What the holder of the role does about a device that is lost, batches that never end, and instances whose plans come
// and go.
#include <chrono>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "runtime/dispatcher.h"

namespace tessera::runtime {
namespace {

std::int64_t milliseconds_of(Duration span) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(span).count();
}

}  // namespace

void Dispatcher::handle_down(TimePoint at, Turn& turn) {
  end_loader_wait(false);
  end_lane_wait(false);
  feed(sched::DeviceDown{}, at, turn);
  refuse_all_waiting(Refusal::kDeviceDown, turn);
}

void Dispatcher::watch(const LaunchRecord& record, const sched::StartLaunch& action) {
  const Duration limit = overdue_rule_.limit(action.predicted, record.served->one_shape);
  // Not from record.launched on: a driver that was busy may have kept launch() waiting.
  overdue_.begin({record.id(), action.slice, action.after_lane_only, limit}, now());
  if (overdue_at_ == kNever) {  // else the next look finds it: limits are seconds
    overdue_at_ = overdue_.next();
    set_timer();
  }
}

void Dispatcher::look_for_overdue(TimePoint at, Turn& turn) {
  while (const auto id = overdue_.due(at)) {
    if (stopped_) {
      break;
    }
    LaunchRecord* record = launches_.at(slot_index(id->value));
    TESSERA_CHECK(record != nullptr && record->id() == *id);
    condemn(*record, at, turn);
  }
  overdue_at_ = overdue_.next();
  set_timer();
}

// Whoever waits for it, or behind it, is answered. The launch itself keeps its record, and what the device may yet read
// and write, to the end of the process, or until it ends after all.
void Dispatcher::condemn(LaunchRecord& record, TimePoint at, Turn& turn) {
  const std::shared_ptr<ServedInstance> served = record.served;
  const model::Instance& instance = *served->instance;
  const std::int64_t waited = milliseconds_of(at - record.launched);
  log(LogLevel::kError, "a batch does not end: its model is out of service",
      {{"model", instance.name},
       {"version", instance.version},
       {"device", shape_.name},
       {"atoms", std::to_string(record.slice.first) + "-" + std::to_string(record.slice.end() - 1)},
       {"rows", std::int64_t{record.batch.rows}},
       {"milliseconds", waited}});
  stuck_count_.add(1);
  if (!served->stuck.load()) {
    served->stuck_with = std::make_shared<const Error>(
        unavailable("model '" + instance.name + "' is out of service: a batch of it on device '" + shape_.name +
                    "' did not end within " + std::to_string(waited) + " ms"));
    served->stuck.store(true, std::memory_order_release);
    turn.stuck.push_back(served);
  }
  if (!held_up_) {
    held_up_ = std::make_shared<const Error>(unavailable(
        "device '" + shape_.name + "' is held up by a batch of model '" + instance.name + "' that does not end"));
  }
  sched::LaunchStuck stuck{record.scheduled};
  answer_early(record, Refusal::kFault, served->stuck_with, turn);
  for (const LaunchId id : overdue_.behind(record.id())) {
    LaunchRecord* follower = launches_.at(slot_index(id.value));
    TESSERA_CHECK(follower != nullptr && follower->id() == id);
    answer_early(*follower, Refusal::kFaultHere, held_up_, turn);
    stuck.behind.push_back(follower->scheduled);
  }
  end_loader_wait(false);
  end_lane_wait(false);
  feed(stuck, at, turn);
  atoms_lost_ = scheduler_.atoms_lost();
  if (atoms_lost_ == shape_.atoms()) {
    if (neighbours_.load != nullptr) {
      neighbours_.load->down.store(true, std::memory_order_release);  // for the router: nothing begins here any more
    }
    refuse_all_waiting(Refusal::kFaultHere, turn);
  }
}

// The tickets are let go of; the bytes of their requests are not, as the device may still read them.
void Dispatcher::answer_early(LaunchRecord& record, Refusal why, const std::shared_ptr<const Error>& error,
                              Turn& turn) {
  for (Ticket* ticket = std::exchange(record.first, nullptr); ticket != nullptr;) {
    Ticket* next = ticket->next;
    record.kept.push_back(ticket->call->request.memory);
    ticket->error = error;
    refuse(*ticket, why, turn);
    ticket = next;
  }
}

void Dispatcher::refuse_all_waiting(Refusal why, Turn& turn) {
  for (std::size_t index = 0; index < tickets_.end(); ++index) {
    Ticket* ticket = tickets_.at(index);
    if (ticket == nullptr) {
      index += SlotPool<Ticket>::kChunk - 1;
    } else if (ticket->state == Ticket::State::kWaiting) {
      ticket->error = held_up_;
      refuse(*ticket, why, turn);
    }
  }
}

void Dispatcher::handle_eviction(ControlMessage& control, TimePoint at, Turn& turn) {
  ServedInstance& served = *control.served;
  const InstanceId id = served.instance->id;
  const bool idle = !stopped_ && !is_down() && !held_up_ && !scheduler_.busy(id);
  if (idle) {
    feed(control.event, at, turn);
    served.plans.clear();
    served.wanted_since.reset();
    served.evicted.store(true);
    served.counters->evicted();
  }
  control.done->set_value(idle);
}

void Dispatcher::refuse_waiting(const ServedInstance& served, const std::shared_ptr<const Error>& error, TimePoint at,
                                Turn& turn) {
  for (std::size_t index = 0; index < tickets_.end(); ++index) {
    Ticket* ticket = tickets_.at(index);
    if (ticket == nullptr) {
      index += SlotPool<Ticket>::kChunk - 1;
    } else if (ticket->state == Ticket::State::kWaiting && ticket->served.get() == &served) {
      ticket->error = error;
      refuse(*ticket, Refusal::kFault, turn);
      feed(sched::Cancelled{ticket->id()}, at, turn);
    }
  }
  if (const auto found = instances_.find(served.instance->id.value); found != instances_.end()) {
    found->second->wanted_since.reset();  // the next one may ask again
  }
}

}  // namespace tessera::runtime
