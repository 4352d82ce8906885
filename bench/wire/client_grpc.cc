#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "clients.h"
#include "grpc_service.pb.h"

namespace tessera::bench {
namespace {

class GrpcClient : public WireClient {
 public:
  GrpcClient(const std::string& address, std::string method, const std::string& message)
      : stub_(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())), method_(std::move(method)) {
    const grpc::Slice slice(message);
    request_ = grpc::ByteBuffer(&slice, 1);
  }
  ~GrpcClient() override { queue_.Shutdown(); }

  void call() override {
    grpc::ClientContext context;
    grpc::ByteBuffer answer;
    grpc::Status status;
    const auto rpc = stub_.PrepareUnaryCall(&context, method_, request_, &queue_);
    rpc->StartCall();
    rpc->Finish(&answer, &status, this);
    void* tag = nullptr;
    bool ok = false;
    queue_.Next(&tag, &ok);
    if (!status.ok()) {
      give_up(method_ + ": " + status.error_message());
    }
  }

 private:
  grpc::GenericStub stub_;
  std::string method_;
  grpc::ByteBuffer request_;
  grpc::CompletionQueue queue_;
};

}  // namespace

std::unique_ptr<WireClient> grpc_client(const std::string& address, std::string method, const std::string& message) {
  return std::make_unique<GrpcClient>(address, std::move(method), message);
}

std::string simple_grpc_message() {
  inference::ModelInferRequest request;
  request.set_model_name("simple");
  for (const char* name : {"INPUT0", "INPUT1"}) {
    auto* input = request.add_inputs();
    input->set_name(name);
    input->set_datatype("INT32");
    input->add_shape(1);
    input->add_shape(16);
    request.add_raw_input_contents(std::string(64, '\1'));
  }
  return request.SerializeAsString();
}

}  // namespace tessera::bench
