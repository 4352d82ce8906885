#include <cstdio>

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include "echo.h"

namespace tessera::bench {
namespace {

// One message in, the same bytes out.
class Reactor : public grpc::ServerGenericBidiReactor {
 public:
  Reactor() { StartRead(&message_); }

 private:
  void OnReadDone(bool ok) override {
    if (ok) {
      StartWriteAndFinish(&message_, {}, grpc::Status::OK);
    } else {
      Finish(grpc::Status::CANCELLED);
    }
  }
  void OnDone() override { delete this; }  // the library owns a reactor until here

  grpc::ByteBuffer message_;
};

class Echo : public grpc::CallbackGenericService {
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* /*context*/) override {
    return new Reactor;  // NOLINT(cppcoreguidelines-owning-memory): deletes itself in OnDone
  }
};

}  // namespace

int run_grpc_echo() {
  Echo service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterCallbackGenericService(&service);
  const auto server = builder.BuildAndStart();
  std::printf("ready port=%d\n", port);
  std::fflush(stdout);
  server->Wait();
  return 0;
}

}  // namespace tessera::bench
