#include "server/grpc/infer_unary.h"

#include <utility>

#include "server/grpc/infer_exchange.h"
#include "server/grpc/message_call.h"

namespace tessera::server {
namespace {

// One call: read on a thread of the queue, done() on any. The call is finished once, by whichever has the outcome.
class UnaryInfer final : public RpcHandler, public InferExchange, public std::enable_shared_from_this<UnaryInfer> {
 public:
  UnaryInfer(Backend& backend, std::shared_ptr<Rpc> rpc) : InferExchange(backend), rpc_(std::move(rpc)) {}

  void begin() override { rpc_->start_only_read(); }

  void read_done(bool ok) override {
    if (!ok) {
      rpc_->finish(no_message());
    } else if (const Status status = decode(rpc_->message()); !status.ok()) {
      finish(status.error());
    } else {
      // The tensors are in leased memory now: holding them twice would double what a large request costs.
      rpc_->message().Clear();
      backend().service().infer(shared_from_this());
    }
  }

  void done(Result<InferResponse> result) noexcept override {
    ::grpc::ByteBuffer response;
    const Status status = encode(std::move(result), Envelope::kUnary, response);
    if (status.ok()) {
      rpc_->answer(response);
    } else {
      finish(status.error());
    }
  }

  void cancelled() override { backend().service().cancel(*this); }

 private:
  void finish(const Error& error) { rpc_->finish(to_grpc(named(error), &rpc_->context())); }

  const std::shared_ptr<Rpc> rpc_;
};

}  // namespace

std::shared_ptr<RpcHandler> make_infer_unary(Backend& backend, std::shared_ptr<Rpc> rpc) {
  return std::make_shared<UnaryInfer>(backend, std::move(rpc));
}

}  // namespace tessera::server
