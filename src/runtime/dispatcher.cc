// The role: posting, taking, draining, letting go. What the holder does with a message is in dispatcher_actions.cc,
// what follows after the role in dispatcher_answers.cc.
#include "runtime/dispatcher.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/pause.h"

namespace tessera::runtime {

namespace {

// The innermost turn of the calling thread. A caller's done() may post the next request, and a device may report a
// completion from within run_here(): such a call adds to the turn that is under way instead of nesting another one, so
// the stack stays flat and answers are given in one place. A void pointer because Turn is the dispatcher's own.
thread_local void* t_turn = nullptr;

sched::SchedulerLimits limits_of(const DeviceShape& shape, const Dispatcher::Limits& limits) {
  return {.max_waiting = limits.max_waiting,
          .committed_per_atom = shape.committed_per_atom,
          .max_homes = limits.max_homes,
          .overdue = limits.overdue.value_or(sched::overdue_rule(shape))};
}

}  // namespace

Dispatcher::Dispatcher(device::Device& device, std::unique_ptr<sched::Policy> policy, Limits limits, HomeMaker homes,
                       Neighbours neighbours, Recording recording)
    : device_(device),
      shape_(device.shape()),
      homes_(std::move(homes)),
      neighbours_(std::move(neighbours)),
      recording_(std::move(recording)),
      tickets_(std::min(limits.max_waiting + limits.max_running, kMaxSlots)),
      launches_(std::min(limits.max_running, kMaxSlots)),
      scheduler_(device.shape(), std::move(policy), limits_of(shape_, limits)),
      copy_desk_(device),
      busy_ns_(device.shape().atoms()),
      timer_([this] {
        if (!timer_posted_.exchange(true)) {
          inbox_.push(timer_message_);
        }
        work({this, true}, false);
      }) {
  if (recording_.to != nullptr) {
    recording_.to->begin({recording_.device, recording_.policy, shape_, limits_of(shape_, limits)});
  }
  device_.set_sink(*this);
}

Dispatcher::~Dispatcher() { work({this, true}, false); }

Ticket* Dispatcher::take_ticket() {
  Ticket* ticket = tickets_.take();
  if (ticket != nullptr) {
    ticket->state.store(Ticket::State::kPosted, std::memory_order_relaxed);
  }
  return ticket;
}

void Dispatcher::give_back(Ticket& ticket) { recycle(ticket); }

void Dispatcher::post(Ticket& ticket, ServedInstance& served) {
  const auto atom = device_.atom_here();
  ticket.poster_atom = atom;
  const bool holds_role = look_for_role();
  inbox_.push(ticket.arrival);  // from here on the ticket may be gone
  served.admitting.fetch_sub(1);
  work({this, false, atom, kRunHereBelow}, holds_role);
}

// A holder that took a request of this thread's with it would hand the launch to a worker.
bool Dispatcher::look_for_role() {
  for (int look = 0; look < kRoleLooks; ++look) {
    if (!held_.load(std::memory_order_relaxed) && !held_.exchange(true, std::memory_order_seq_cst)) {
      return true;
    }
    pause_briefly();
  }
  return false;
}

void Dispatcher::cancel(RequestId request) {
  Ticket* ticket = tickets_.at(slot_index(request.value));
  if (ticket == nullptr) {
    return;
  }
  // Fails when the request is answered already, or its cancellation is under way.
  std::uint64_t word = slot_generation(request.value) << Ticket::kFlagBits;
  if (ticket->word.compare_exchange_strong(word, word | Ticket::kCancelPosted)) {
    post_and_take_part(ticket->cancellation);
  }
}

void Dispatcher::send(sched::Event event, std::shared_ptr<ServedInstance> served, std::binary_semaphore* applied) {
  auto control = std::make_unique<ControlMessage>();
  control->event = std::move(event);
  control->served = std::move(served);
  control->applied = applied;
  post_and_take_part(control.release()->message);  // deleted by handle_control
}

void Dispatcher::model_up(const std::shared_ptr<ServedInstance>& served, sched::Profile profile) {
  const auto& instance = served->instance;
  sched::ModelUp up;
  up.instance = instance->id;
  up.params = std::shared_ptr<const sched::ModelParams>(instance, &instance->config.params);
  up.profile = std::move(profile);
  up.lazy_homes = instance->engine_model->homes_cheaply();
  up.all_buckets = !instance->grows;
  up.shapes_vary = served->shapes_vary;
  up.only_slice = instance->engine_model->only_slice();
  up.base_shape = served->measured_shape;
  send(std::move(up), served);
}

void Dispatcher::slice_ready(const sched::SliceReady& ready) { send(ready, nullptr); }

void Dispatcher::home_failed(const sched::HomeFailed& failed) { send(failed, nullptr); }

void Dispatcher::model_down(std::shared_ptr<ServedInstance> served) {
  const InstanceId id = served->instance->id;
  send(sched::ModelDown{id}, std::move(served));
}

Status Dispatcher::borrow(const Slice& slice, Duration expected) {
  send(sched::LoaderWants{slice, expected}, nullptr);
  loader_signal_.acquire();
  if (!loader_granted_) {
    return Error(ErrorCode::kDeviceLost, "device '" + shape_.name + "' is down, held up or stopping");
  }
  return ok_status();
}

Status Dispatcher::borrow_lane(InstanceId instance, LaneIndex lane) {
  send(sched::LaneWanted{instance, lane}, nullptr);
  lane_signal_.acquire();
  if (!lane_granted_) {
    return Error(ErrorCode::kDeviceLost, "device '" + shape_.name + "' is down, held up or stopping");
  }
  return ok_status();
}

void Dispatcher::give_back_lane(InstanceId instance, LaneIndex lane) { send(sched::LaneDone{instance, lane}, nullptr); }

void Dispatcher::measured(const sched::Measured& measured) { send(measured, nullptr); }

void Dispatcher::buckets_end(InstanceId instance) { send(sched::BucketsEnd{instance}, nullptr); }

void Dispatcher::change_params(const std::shared_ptr<ServedInstance>& served, const sched::LiveParams& params) {
  std::binary_semaphore applied{0};
  send(sched::ParamsChanged{served->instance->id, params}, served, &applied);
  applied.acquire();
}

void Dispatcher::change_policy(const std::string& policy) {
  std::binary_semaphore applied{0};
  send(sched::PolicyChanged{policy}, nullptr, &applied);
  applied.acquire();
}

Learned Dispatcher::learned(InstanceId instance) {
  Learned out;
  std::binary_semaphore applied{0};
  auto control = std::make_unique<ControlMessage>();
  control->applied = &applied;
  control->look = [&](const sched::Scheduler& scheduler, TimePoint at) {
    if (const sched::Profile* profile = scheduler.profile(instance)) {
      out.profile = *profile;
    }
    out.beside_others = scheduler.beside_others(instance);
    out.rows_per_second = scheduler.rows_per_second(instance, at);
  };
  post_and_take_part(control.release()->message);
  applied.acquire();
  return out;
}

void Dispatcher::give_back_slice() { send(sched::LoaderDone{}, nullptr); }

void Dispatcher::completed(const device::Completion& completion) {
  LaunchRecord* record = launches_.at(slot_index(completion.id.value));
  TESSERA_CHECK(record != nullptr && record->id() == completion.id);
  record->completion = completion;
  post_and_take_part(record->ended);
}

void Dispatcher::copied(const device::CopyEnd& end) {
  CopyRecord& record = copy_desk_.of(end.id);
  record.end = end;
  post_and_take_part(record.ended);
}

void Dispatcher::device_down(const Error& reason) {
  log(LogLevel::kError, "device is down", {{"device", shape_.name}, {"reason", reason.message()}});
  down_reason_ = reason;
  down_.store(true, std::memory_order_release);
  if (neighbours_.load != nullptr) {
    neighbours_.load->down.store(true, std::memory_order_release);
  }
  if (neighbours_.on_down) {
    neighbours_.on_down();
  }
  post_and_take_part(down_message_);
}

void Dispatcher::stop() {
  post_and_take_part(stop_message_);
  stop_signal_.acquire();  // another thread may hold the role, and be about to call the device
}

void Dispatcher::post_and_take_part(Message& message) {
  inbox_.push(message);
  work({this}, false);
}

void Dispatcher::work(Turn turn, bool holds_role) {
  Turn* outer = static_cast<Turn*>(t_turn);
  if (outer != nullptr && outer->owner == this) {
    if (turn.atom && !outer->patient) {
      outer->atom = turn.atom;
      outer->run_budget = turn.run_budget;
    }
    // What this leaves to be done is done by the outer call.
    if (take_part(*outer, holds_role) && outer->patient) {
      timer_.wake();
    }
    return;
  }
  t_turn = &turn;
  bool more = take_part(turn, holds_role);
  for (;;) {
    deliver(turn);
    if (!(more && turn.patient)) {
      break;
    }
    more = take_part(turn, false);
  }
  t_turn = outer;
}

// Serves the inbox as long as the role can be had and there is something in it. True: there was more than this thread
// should do.
//
// Nothing is stranded: a poster pushes first and tries the role second, a holder lets go first and looks at the inbox
// second, all sequentially consistent. So either the poster gets the role or the holder sees the message. A poster that
// holds the role already is such a holder.
bool Dispatcher::take_part(Turn& turn, bool holds_role) {
  while (holds_role || (!inbox_.empty() && !held_.exchange(true, std::memory_order_seq_cst))) {
    const TimePoint begin = now();
    const bool more = drain(turn);
    if (is_chosen_by_load()) {
      publish_load();
    }
    role_ns_.add(static_cast<std::uint64_t>((now() - begin).count()));
    held_.store(false, std::memory_order_seq_cst);
    holds_role = false;
    if (more) {
      if (!turn.patient) {
        timer_.wake();
      }
      return true;
    }
  }
  return false;
}

bool Dispatcher::drain(Turn& turn) {
  for (int round = 0; round < kMaxRounds; ++round) {
    Message* message = inbox_.take_all();
    if (message == nullptr) {
      return false;
    }
    while (message != nullptr) {
      Message* next = message->next;  // handling it may give its object away
      handle(*message, turn);
      message = next;
    }
  }
  return !inbox_.empty();
}

DeviceStatistics Dispatcher::statistics() const {
  DeviceStatistics out;
  out.device = shape_.name;
  out.up = !is_down();
  out.stuck = stuck_cell_.get();
  for (const Cell& busy : busy_ns_) {
    out.busy_seconds.push_back(static_cast<double>(busy.get()) * 1e-9);
  }
  out.dispatching_seconds = static_cast<double>(role_ns_.get()) * 1e-9;
  out.launches = launch_count_.get();
  out.copied_tensor_bytes = copied_.load(std::memory_order_relaxed);
  return out;
}

}  // namespace tessera::runtime
