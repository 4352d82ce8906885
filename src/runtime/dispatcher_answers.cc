// What follows after the role: running what the device left to this thread, and answering.
#include <string>
#include <utility>

#include "runtime/assembly.h"
#include "runtime/dispatcher.h"

namespace tessera::runtime {
namespace {

// The text of a deadline that cannot be met names the reason and the model.
Error objective_error(const Ticket& ticket) {
  const model::Instance& instance = *ticket.served->instance;
  std::string text = "Request for model '" + instance.name + "' cannot be answered in time";
  if (const auto& slo = instance.config.params.slo) {
    text += ": its objective of " +
            std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(*slo).count()) +
            " ms cannot be met under the present load";
  }
  Error error = unavailable(std::move(text));
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(ticket.retry_after);
  return std::move(error).with_retry_after(std::max(wait, std::chrono::milliseconds(1)));
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
    } else {
      return;
    }
  }
}

void Dispatcher::answer(LaunchRecord& record) {
  OutputSplitter outputs(record);
  const bool ok = record.completion.status.ok();
  for (Ticket* ticket = record.first; ticket != nullptr;) {
    Ticket* next = ticket->next;
    finish(*ticket, ok ? outputs.next(*ticket) : Result<InferResponse>(record.completion.status.error()));
    ticket = next;
  }
  record.first = nullptr;
  record.batch.output_memory.reset();
  record.served.reset();
  ++record.generation;
  launches_.give(record);
}

void Dispatcher::answer(Ticket& ticket) {
  switch (ticket.refusal) {
    case Refusal::kTimeout:
      return finish(ticket, Error(ErrorCode::kDeadlineExceeded, "Request timeout expired"));
    case Refusal::kDeadline:
      return finish(ticket, objective_error(ticket));
    case Refusal::kQueueFull:
      return finish(ticket, Error(ErrorCode::kResourceExhausted, "Exceeds maximum queue size"));
    case Refusal::kModelGone:
      return finish(ticket, unavailable("model '" + ticket.served->instance->name + "' was unloaded"));
    case Refusal::kDeviceDown:
      return finish(ticket,
                    Error(ErrorCode::kDeviceLost, "device '" + shape_.name + "' is down" +
                                                      (down_reason_ ? ": " + down_reason_->message() : std::string())));
    case Refusal::kCancelled:
      return finish(ticket, Error(ErrorCode::kCancelled, "the request was cancelled"));
    case Refusal::kStopped:
      return finish(ticket, unavailable("the server is stopping"));
  }
}

void Dispatcher::finish(Ticket& ticket, Result<InferResponse> result) {
  const std::shared_ptr<InferCall> call = std::move(ticket.call);
  const std::shared_ptr<ServedInstance> served = std::move(ticket.served);
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
  const std::uint64_t generation = (ticket.word.load(std::memory_order_relaxed) >> Ticket::kFlagBits) + 1;
  ticket.word.store(generation << Ticket::kFlagBits);
  tickets_.give(ticket);
}

}  // namespace tessera::runtime
