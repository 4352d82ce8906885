#include <string>

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include "bare.h"
#include "grpc_service.pb.h"

namespace tessera::bench {
namespace {

constexpr int kLargestMessage = 64 << 20;

grpc::ByteBuffer buffer_of(const google::protobuf::MessageLite& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return {&slice, 1};
}

grpc::ByteBuffer answer_to(const std::string& method) {
  if (method.ends_with("/ServerLive")) {
    inference::ServerLiveResponse live;
    live.set_live(true);
    return buffer_of(live);
  }
  if (method.ends_with("/ModelMetadata")) {
    inference::ModelMetadataResponse metadata;
    metadata.set_name("bare");
    auto& input = *metadata.add_inputs();
    input.set_name("input");
    input.set_datatype("FP32");
    for (const std::int64_t dim : {-1, 3, 224, 224}) input.add_shape(dim);
    return buffer_of(metadata);
  }
  inference::ModelInferResponse answer;
  answer.set_model_name("bare");
  auto& output = *answer.add_outputs();
  output.set_name("output");
  output.set_datatype("FP16");
  output.add_shape(1);
  output.add_shape(static_cast<std::int64_t>(kAnswer / 2));
  answer.add_raw_output_contents(std::string(kAnswer, '\0'));
  return buffer_of(answer);
}

// One message in, one out.
class Reactor : public grpc::ServerGenericBidiReactor {
 public:
  explicit Reactor(std::string method) : method_(std::move(method)) { StartRead(&message_); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::CANCELLED);
      return;
    }
    message_ = answer_to(method_);
    StartWriteAndFinish(&message_, {}, grpc::Status::OK);
  }
  void OnDone() override { delete this; }  // the library owns a reactor until here

  const std::string method_;
  grpc::ByteBuffer message_;
};

class Service : public grpc::CallbackGenericService {
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    return new Reactor(context->method());  // NOLINT(cppcoreguidelines-owning-memory): deletes itself in OnDone
  }
};

class Grpc final : public Bare {
 public:
  Grpc() {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kLargestMessage);
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterCallbackGenericService(&service_);
    server_ = builder.BuildAndStart();
  }
  ~Grpc() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::uint16_t port() const override { return static_cast<std::uint16_t>(port_); }

 private:
  Service service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

std::unique_ptr<Bare> bare_grpc() { return std::make_unique<Grpc>(); }

}  // namespace tessera::bench
