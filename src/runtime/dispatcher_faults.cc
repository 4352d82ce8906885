// What the holder of the role does about a device that is lost, about batches that do not end, and about objectives
// that no run can meet.
#include <chrono>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "runtime/dispatcher.h"

namespace tessera::runtime {

void Dispatcher::handle_down(TimePoint at, Turn& turn) {
  end_loader_wait(false);
  end_lane_wait(false);
  feed(sched::DeviceDown{}, at, turn);
  refuse_all_waiting(Refusal::kDeviceDown, turn);
}

// Who waits for it, or behind it, is answered. The launches keep their records, and what the device may yet read and
// write, until they end after all, or the process does.
void Dispatcher::perform(const sched::LaunchStuck& action, TimePoint, Turn& turn) {
  LaunchRecord* record = find_launch(action.launch);
  TESSERA_CHECK(record != nullptr);
  const std::shared_ptr<ServedInstance> served = record->served;
  const model::Instance& instance = *served->instance;
  log(LogLevel::kError, "a batch does not end: its model is out of service",
      {{"model", instance.name},
       {"version", instance.version},
       {"device", shape_.name},
       {"atoms", std::to_string(record->slice.first) + "-" + std::to_string(record->slice.end() - 1)},
       {"rows", std::int64_t{record->batch.rows}},
       {"milliseconds", std::chrono::duration_cast<std::chrono::milliseconds>(action.ran).count()}});
  if (!served->stuck_with) {
    served->stuck_with = std::make_shared<const Error>(unavailable(
        "model '" + instance.name + "' is out of service: a batch of it on device '" + shape_.name + "' does not end"));
  }
  if (++served->stuck_launches == 1) {
    served->stuck.store(true, std::memory_order_release);
    turn.stuck.push_back(served);
  }
  stuck_cell_.set(++stuck_now_);
  if (stuck_now_ == 1) {
    held_up_ = std::make_shared<const Error>(unavailable(
        "device '" + shape_.name + "' is held up by a batch of model '" + instance.name + "' that does not end"));
  }
  answer_early(*record, Refusal::kFault, served->stuck_with, turn);
  for (const LaunchId id : action.behind) {
    if (LaunchRecord* follower = find_launch(id)) {
      answer_early(*follower, Refusal::kFaultHere, held_up_, turn);
    }
  }
  end_loader_wait(false);
  end_lane_wait(false);
  count_atoms_lost();
}

void Dispatcher::perform(const sched::StuckEnded& action, TimePoint, Turn& turn) {
  const auto found = instances_.find(action.instance.value);
  TESSERA_CHECK(found != instances_.end() && stuck_now_ > 0);
  const std::shared_ptr<ServedInstance>& served = found->second;
  log(LogLevel::kWarning, "a batch has ended after all",
      {{"model", served->instance->name}, {"version", served->instance->version}, {"device", shape_.name}});
  if (--served->stuck_launches == 0) {
    served->stuck.store(false, std::memory_order_release);
    turn.stuck.push_back(served);
  }
  stuck_cell_.set(--stuck_now_);
}

// Where none is left nothing begins on the device, and the router asks others.
void Dispatcher::count_atoms_lost() {
  atoms_lost_ = scheduler_.atoms_lost();
  if (neighbours_.load != nullptr) {
    neighbours_.load->held_up.store(atoms_lost_ == shape_.atoms(), std::memory_order_release);
  }
}

// After what measures, or changes what it is held against.
void Dispatcher::note_fastest(ServedInstance& served) const {
  ModelCounters& counters = *served.counters;
  counters.set_fastest_measured(scheduler_.fastest_measured(served.instance->id));
  if (!counters.slo_turns_out_impossible()) {
    return;
  }
  const auto ms = [](Duration span) { return std::chrono::duration<double, std::milli>(span).count(); };
  log(LogLevel::kWarning,
      "an objective is shorter than any run of its model that was measured: raise slo_ms, or take a faster model; "
      "under slo_policy reject its requests are rejected, under best_effort they are answered late",
      {{"model", served.instance->name},
       {"version", served.instance->version},
       {"device", shape_.name},
       {"slo_ms", ms(counters.slo())},
       {"fastest_measured_ms", ms(counters.fastest_measured())}});
}

// Rare: looks through all records. The number of a launch is never given again.
LaunchRecord* Dispatcher::find_launch(LaunchId scheduled) {
  for (std::size_t index = 0; index < launches_.end(); ++index) {
    LaunchRecord* record = launches_.at(index);
    if (record == nullptr) {
      index += SlotPool<LaunchRecord>::kChunk - 1;
    } else if (record->scheduled == scheduled) {
      return record;
    }
  }
  return nullptr;
}

// The tickets are let go of; the bytes of their requests are not, as the device may still read them.
void Dispatcher::answer_early(LaunchRecord& record, Refusal why, const std::shared_ptr<const Error>& error,
                              Turn& turn) {
  for (Ticket* ticket = std::exchange(record.first, nullptr); ticket != nullptr;) {
    Ticket* next = ticket->next;
    record.kept.push_back(ticket->input_memory());
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
      refuse(*ticket, why, turn);
    }
  }
}

}  // namespace tessera::runtime
