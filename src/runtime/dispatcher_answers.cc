// What follows after the role: running what the device left to this thread, and answering.
#include <array>
#include <charconv>
#include <chrono>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "runtime/assembly.h"
#include "runtime/dispatcher.h"

namespace tessera::runtime {
namespace {

// Milliseconds, to the microsecond.
std::string ms_text(Duration span) {
  const auto us = static_cast<double>(std::chrono::round<std::chrono::microseconds>(span).count());
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), us / 1000, std::chars_format::fixed).ptr;
  return {text.data(), end};
}

// The text of a deadline that cannot be met names the reason and the model.
Error objective_error(const Ticket& ticket) {
  const model::Instance& instance = *ticket.served->instance;
  const ModelCounters& counters = *ticket.served->counters;
  std::string text = "Request for model '" + instance.name + "' cannot be answered in time";
  if (counters.slo_is_impossible()) {
    text += ": slo_ms " + ms_text(counters.slo()) + " of model " + instance.name +
            " is below its fastest measured run of " + ms_text(counters.fastest_measured()) +
            " ms; raise it, or set slo_policy best_effort";
  } else if (const Duration slo = counters.slo(); slo > Duration::zero()) {
    text += ": its objective of " + ms_text(slo) + " ms cannot be met under the present load";
  }
  Error error = unavailable(std::move(text));
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(ticket.retry_after);
  return std::move(error).with_retry_after(std::max(wait, std::chrono::milliseconds(1)));
}

Error gone_error(const Ticket& ticket) {
  return unavailable("model '" + ticket.served->instance->name + "' was unloaded");
}

Error rows_error(const Ticket& ticket) {
  return unavailable("Request for model '" + ticket.served->instance->name + "' has " + std::to_string(ticket.rows) +
                     " rows, more than any batch size that could be made ready: " + ticket.served->no_more_rows);
}

}  // namespace

void Dispatcher::deliver(Turn& turn) {
  for (;;) {
    // A slice waits for the launch, so it goes first. It is short: kRunHereBelow.
    if (LaunchRecord* record = std::exchange(turn.to_run, nullptr)) {
      device_.run_here(record->id());
    } else if (LaunchRecord* ended = turn.ended.pop()) {
      answer(*ended);
    } else if (Ticket* refused = turn.refused.pop()) {
      answer(*refused);
    } else if (!turn.stuck.empty()) {
      const std::shared_ptr<ServedInstance> stuck = std::move(turn.stuck.back());
      turn.stuck.pop_back();
      if (neighbours_.on_stuck) {
        neighbours_.on_stuck(*stuck);
      }
    } else {
      return;
    }
  }
}

void Dispatcher::answer(LaunchRecord& record) {
  OutputSplitter outputs(record);
  const bool ok = record.completion.status.ok();
  const bool elsewhere = may_be_taken_over(record);
  for (Ticket* ticket = record.first; ticket != nullptr;) {
    Ticket* next = ticket->next;
    if (elsewhere) {
      ticket->refusal = Refusal::kDeviceDown;
      hand_over(*ticket, neighbours_.take_over);
      ticket = next;
      continue;
    }
    finish(*ticket, ok ? outputs.next(*ticket) : Result<InferResponse>(record.completion.status.error()));
    ticket = next;
  }
  if (outputs.copied().value > 0) {
    count_copied(outputs.copied());
  }
  record.first = nullptr;
  record.batch.output_memory.reset();
  record.served.reset();
  ++record.generation;
  launches_.give(record);
}

void Dispatcher::answer(Ticket& ticket) {
  const TakeOver* to = taker(ticket.refusal);
  return to != nullptr ? hand_over(ticket, *to) : finish(ticket, error_of(ticket));
}

Error Dispatcher::error_of(const Ticket& ticket) const {
  switch (ticket.refusal) {
    case Refusal::kTimeout:
      return {ErrorCode::kDeadlineExceeded, "Request timeout expired"};
    case Refusal::kDeadline:
      return objective_error(ticket);
    case Refusal::kQueueFull:
      return {ErrorCode::kResourceExhausted, "Exceeds maximum queue size"};
    case Refusal::kModelGone:
      return gone_error(ticket);
    case Refusal::kTooManyRows:
      return rows_error(ticket);
    case Refusal::kDeviceDown:
      return lost_error();
    case Refusal::kCancelled:
      return {ErrorCode::kCancelled, "the request was cancelled"};
    case Refusal::kStopped:
      return unavailable("the server is stopping");
    case Refusal::kFault:
    case Refusal::kFaultHere:
      break;
  }
  TESSERA_CHECK(ticket.error != nullptr);
  return *ticket.error;
}

const Dispatcher::TakeOver* Dispatcher::taker(Refusal why) const {
  if ((why == Refusal::kDeviceDown || why == Refusal::kFaultHere) && neighbours_.take_over) {
    return &neighbours_.take_over;
  }
  return why == Refusal::kModelGone && neighbours_.replaced ? &neighbours_.replaced : nullptr;
}

// The device refused the batch because it is lost: its requests never ran.
bool Dispatcher::may_be_taken_over(const LaunchRecord& record) const {
  return neighbours_.take_over && !record.accepted && !record.completion.status.ok() &&
         record.completion.status.error().code() == ErrorCode::kDeviceLost;
}

// As finish(), but that the call is answered by another device or instance, if any can have it. A cancellation that is
// on its way finds nothing here any more and is heeded at once.
void Dispatcher::hand_over(Ticket& ticket, const TakeOver& to) {
  Error otherwise = error_of(ticket);
  const Counted counted = counted_as(ticket.refusal);
  std::shared_ptr<InferCall> call = std::move(ticket.call);
  const std::shared_ptr<ServedInstance> served = std::move(ticket.served);
  const TimePoint arrived = ticket.arrived;
  const bool cancelled = (ticket.word.fetch_or(Ticket::kAnswered) & Ticket::kCancelPosted) != 0;
  if (!cancelled) {
    recycle(ticket);
  }
  if (cancelled) {
    served->counters->fail(Failure::kCancelled, now() - arrived, false);
    call->done(Error(ErrorCode::kCancelled, "the request was cancelled"));
  } else if (!to(call, arrived)) {
    served->counters->fail(counted.failure, now() - arrived, counted.missed_slo);
    call->done(std::move(otherwise));
  }
  served->unanswered.fetch_sub(1, std::memory_order_release);
}

Error Dispatcher::lost_error() const {
  return {ErrorCode::kDeviceLost,
          "device '" + shape_.name + "' is down" + (is_down() ? ": " + down_reason_->message() : std::string())};
}

void Dispatcher::answered_after_return(bool first, TimePoint arrived, ServedInstance& served) const {
  const Duration took = now() - arrived;
  served.counters->answered_after_return(took);
  if (first) {
    log(LogLevel::kInfo, "a model that was set aside answers again",
        {{"model", served.instance->name},
         {"version", served.instance->version},
         {"device", shape_.name},
         {"seconds_from_request", std::chrono::duration<double>(took).count()}});
  }
}

void Dispatcher::finish(Ticket& ticket, Result<InferResponse> result) {
  const std::shared_ptr<InferCall> call = std::move(ticket.call);
  const std::shared_ptr<ServedInstance> served = std::move(ticket.served);
  if (call->waited_ != InferCall::Waited::kNot && result.ok()) {
    answered_after_return(call->waited_ == InferCall::Waited::kFirst, ticket.arrived, *served);
  }
  // Before done(), which may post the next request and then finds this ticket free.
  if ((ticket.word.fetch_or(Ticket::kAnswered) & Ticket::kCancelPosted) == 0) {
    recycle(ticket);
  }
  call->done(std::move(result));
  served->unanswered.fetch_sub(1, std::memory_order_release);
}

void Dispatcher::recycle(Ticket& ticket) {
  ticket.call.reset();
  ticket.served.reset();
  ticket.error.reset();
  ticket.padded.reset();
  const std::uint64_t generation = (ticket.word.load(std::memory_order_relaxed) >> Ticket::kFlagBits) + 1;
  ticket.word.store(generation << Ticket::kFlagBits);
  tickets_.give(ticket);
}

}  // namespace tessera::runtime
