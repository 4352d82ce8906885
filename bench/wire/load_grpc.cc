#include <memory>
#include <vector>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "clients.h"
#include "load.h"

namespace tessera::bench {
namespace {

class GrpcLoad : public LoadClient {
 public:
  GrpcLoad(const std::string& address, std::string method, const std::string& message, std::size_t at_once)
      : stub_(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())),
        method_(std::move(method)),
        calls_(at_once) {
    const grpc::Slice slice(message);
    request_ = grpc::ByteBuffer(&slice, 1);
  }
  ~GrpcLoad() override { queue_.Shutdown(); }

  void run(std::size_t calls) override {
    std::size_t sent = 0;
    for (auto& call : calls_) {
      start(call);
      ++sent;
    }
    for (std::size_t answered = 0; answered < calls; ++answered) {
      void* tag = nullptr;
      bool ok = false;
      queue_.Next(&tag, &ok);
      auto& call = *static_cast<std::unique_ptr<Call>*>(tag);
      if (!call->status.ok()) {
        give_up(method_ + ": " + call->status.error_message());
      }
      if (sent < calls) {
        start(call);
        ++sent;
      }
    }
  }

 private:
  struct Call {
    grpc::ClientContext context;
    grpc::ByteBuffer answer;
    grpc::Status status;
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> rpc;
  };

  void start(std::unique_ptr<Call>& call) {
    call = std::make_unique<Call>();
    call->rpc = stub_.PrepareUnaryCall(&call->context, method_, request_, &queue_);
    call->rpc->StartCall();
    call->rpc->Finish(&call->answer, &call->status, &call);
  }

  grpc::GenericStub stub_;
  std::string method_;
  grpc::ByteBuffer request_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<Call>> calls_;
};

}  // namespace

std::unique_ptr<LoadClient> grpc_load(const std::string& address, std::string method, const std::string& message,
                                      std::size_t at_once) {
  return std::make_unique<GrpcLoad>(address, std::move(method), message, at_once);
}

}  // namespace tessera::bench
