#include "server/grpc/rpc.h"

#include <chrono>
#include <string>
#include <utility>

#include "server/grpc/to_grpc.h"
#include "server/grpc/unpack.h"

namespace tessera::server {

void Rpc::Step::complete(bool ok) {
  const auto call = std::move(rpc);
  (call.get()->*then)(ok);
}

Rpc::Rpc(const RpcSurroundings& surroundings) : surroundings_(surroundings), stream_(&context_) {}

Rpc::Step* Rpc::begin(Step& step) {
  step.rpc = shared_from_this();
  return &step;
}

void Rpc::accept(::grpc::AsyncGenericService& service, ::grpc::ServerCompletionQueue& queue) {
  context_.AsyncNotifyWhenDone(begin(ended_));
  service.RequestCall(&context_, &stream_, &queue, &queue, begin(accept_));
}

void Rpc::serve(const std::shared_ptr<RpcHandler>& handler) {
  bool cancelled = false;
  {
    const std::lock_guard lock(mutex_);
    handler_ = handler;
    cancelled = cancelled_early_;
  }
  handler->begin();
  if (cancelled) handler->cancelled();
}

void Rpc::start_read() { stream_.Read(&message_, begin(read_)); }

void Rpc::start_only_read() {
  surroundings_.deadlines.await(*this);
  start_read();
}

void Rpc::start_write(const ::grpc::ByteBuffer& message) { stream_.Write(message, begin(write_)); }

void Rpc::finish(const ::grpc::Status& status) {
  if (!surroundings_.deadlines.forget(*this)) return;
  std::optional<::grpc::Status> refused;
  {
    const std::lock_guard lock(mutex_);
    refused = refused_;
  }
  stream_.Finish(refused.value_or(status), begin(finish_));
}

void Rpc::answer(const ::grpc::ByteBuffer& message) {
  stream_.WriteAndFinish(message, {}, ::grpc::Status::OK, begin(finish_));
}

std::shared_ptr<RpcHandler> Rpc::handler() {
  const std::lock_guard lock(mutex_);
  return handler_;
}

void Rpc::on_accepted(bool ok) {
  if (ok) {
    surroundings_.acceptor.accepted(shared_from_this());
  } else {
    ended_.rpc.reset();  // the server ends: there was no call, so its end is never told
  }
}

void Rpc::on_ended(bool /*ok*/) {
  if (!context_.IsCancelled()) return;
  gone_.store(true);
  std::shared_ptr<RpcHandler> handler;
  {
    const std::lock_guard lock(mutex_);
    handler = handler_;
    cancelled_early_ = handler == nullptr;
  }
  if (handler) handler->cancelled();
}

void Rpc::message_late() {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(surroundings_.deadlines.limit()).count();
  const Error error(ErrorCode::kTimeout, "the message did not arrive within " + std::to_string(seconds) + " s");
  stream_.Finish(to_grpc(error), begin(finish_));
}

void Rpc::on_read(bool ok) {
  if (!surroundings_.deadlines.forget(*this)) return;
  if (!ok || !takes_long(message_)) {
    take_message(ok);
  } else if (!surroundings_.helper.post([self = shared_from_this()] { self->take_message(true); })) {
    refuse_message(Error(ErrorCode::kResourceExhausted, "too many large messages wait"));
  }
}

void Rpc::refuse_message(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    refused_ = to_grpc(error);
  }
  if (const auto to = handler()) to->read_done(false);
}

void Rpc::take_message(bool ok) {
  if (ok && gone_.load()) {
    message_.Clear();
    ok = false;
  } else if (ok) {
    if (const Status status = unpack(message_, surroundings_.max_message_bytes); !status.ok()) {
      return refuse_message(status.error());
    }
  }
  if (const auto to = handler()) to->read_done(ok);
}

void Rpc::on_written(bool ok) {
  if (const auto to = handler()) to->write_done(ok);
}

void Rpc::on_finished(bool /*ok*/) {
  std::shared_ptr<RpcHandler> last;
  const std::lock_guard lock(mutex_);
  last.swap(handler_);
}

}  // namespace tessera::server
