#include "server/grpc/infer_unary.h"

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <utility>

#include "server/grpc/infer_exchange.h"
#include "server/grpc/to_grpc.h"

namespace tessera::server {
namespace {

// One call. begin() runs on the thread that took the message off the connection; done() on any; Finish is called once,
// by whichever of the two has the outcome.
class UnaryInfer final : public ::grpc::ServerUnaryReactor, public InferExchange {
 public:
  UnaryInfer(Backend& backend, ::grpc::CallbackServerContext& context, ::grpc::ByteBuffer& response)
      : InferExchange(backend), context_(context), response_(response) {}

  static ::grpc::ServerUnaryReactor* begin(const std::shared_ptr<UnaryInfer>& call, const ::grpc::ByteBuffer& message) {
    call->self_ = call;
    if (const Status status = call->decode(message); !status.ok()) {
      call->finish(status.error());
    } else {
      // The tensors are in leased memory now; holding them twice for as long as the request waits would double what a
      // large one costs. gRPC made the buffer for this call alone.
      const_cast<::grpc::ByteBuffer&>(message).Clear();
      call->backend().service().infer(call);
    }
    return call.get();
  }

  void done(Result<InferResponse> result) noexcept override {
    const Status status = encode(std::move(result), Envelope::kUnary, response_);
    if (status.ok()) {
      Finish(::grpc::Status::OK);
    } else {
      finish(status.error());
    }
  }

  void OnCancel() override { backend().service().cancel(*this); }  // NOLINT(readability-identifier-naming)
  void OnDone() override { const auto last = std::move(self_); }   // NOLINT(readability-identifier-naming)

 private:
  void finish(const Error& error) { Finish(to_grpc(named(error), &context_)); }

  ::grpc::CallbackServerContext& context_;
  ::grpc::ByteBuffer& response_;
  std::shared_ptr<UnaryInfer> self_;  // keeps the reactor while gRPC knows it
};

}  // namespace

::grpc::ServerUnaryReactor* infer_unary(Backend& backend, ::grpc::CallbackServerContext& context,
                                        const ::grpc::ByteBuffer& request, ::grpc::ByteBuffer& response) {
  return UnaryInfer::begin(std::make_shared<UnaryInfer>(backend, context, response), request);
}

}  // namespace tessera::server
