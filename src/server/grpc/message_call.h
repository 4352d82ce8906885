// Calls with one small message each way, as protobuf objects: everything but inference.
#pragma once

#include <grpcpp/impl/codegen/proto_utils.h>

#include <functional>
#include <memory>
#include <utility>

#include "base/result.h"
#include "server/grpc/rpc.h"
#include "server/grpc/to_grpc.h"

namespace tessera::server {

inline ::grpc::Status no_message() {
  return {::grpc::StatusCode::INVALID_ARGUMENT, "the call came without a message, or with one that is too large"};
}

template <typename Message>
bool parse(::grpc::ByteBuffer& bytes, Message& out) {
  return ::grpc::SerializationTraits<Message>::Deserialize(&bytes, &out).ok();
}

template <typename Message>
::grpc::ByteBuffer serialize(const Message& message) {
  ::grpc::ByteBuffer out;
  bool own = false;
  ::grpc::SerializationTraits<Message>::Serialize(message, &out, &own);
  return out;
}

// Used by one thread at a time.
template <typename Request, typename Response>
class MessageCall final : public RpcHandler, public std::enable_shared_from_this<MessageCall<Request, Response>> {
 public:
  using Finish = std::function<void(const Status&)>;
  // Fills the response and calls finish, once, now or later on any thread; what it is called with ends the call.
  using Work = std::function<void(const Request&, Response&, Finish finish)>;

  MessageCall(std::shared_ptr<Rpc> rpc, const Work& work) : rpc_(std::move(rpc)), work_(work) {}

  void begin() override { rpc_->start_only_read(); }

  void read_done(bool ok) override {
    if (!ok) {
      rpc_->finish(no_message());
    } else if (!parse(rpc_->message(), request_)) {
      rpc_->finish({::grpc::StatusCode::INVALID_ARGUMENT, "malformed message"});
    } else {
      work_(request_, response_, [self = this->shared_from_this()](const Status& status) { self->end(status); });
    }
  }

 private:
  void end(const Status& status) {
    if (status.ok()) {
      rpc_->answer(serialize(response_));
    } else {
      rpc_->finish(to_grpc(status.error(), &rpc_->context()));
    }
  }

  const std::shared_ptr<Rpc> rpc_;
  const Work& work_;  // of the method table
  Request request_;
  Response response_;
};

}  // namespace tessera::server
