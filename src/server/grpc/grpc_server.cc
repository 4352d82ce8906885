#include "server/grpc/grpc_server.h"

#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include <chrono>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/affinity.h"
#include "base/log.h"
#include "base/precedence.h"
#include "server/grpc/backend.h"
#include "server/grpc/health_monitor.h"
#include "server/grpc/message_deadlines.h"
#include "server/grpc/methods.h"
#include "server/grpc/open_streams.h"
#include "server/grpc/rpc.h"
#include "server/helper_thread.h"

namespace tessera::server {
namespace {

// A peer that is gone without a word is found within a minute; clients may ask whether we live every 10 s.
constexpr std::chrono::seconds kKeepalive{40};
constexpr std::chrono::seconds kKeepaliveTimeout{20};
constexpr std::chrono::seconds kClientPingInterval{10};
// What one stream may send ahead: a 600 KB image arrives without waiting for window updates.
constexpr int kLookaheadBytes = 1 << 20;
constexpr int kFrameBytes = 1 << 20;

std::string endpoint(const std::string& address, std::uint16_t port) {
  const bool v6 = address.find(':') != std::string::npos && address.front() != '[';
  return (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

// gRPC's own log says what it met, not what became of it: that is told here, in sentences of ours.
void quiet_library() {
  gpr_set_log_function([](gpr_log_func_args* said) { log(LogLevel::kDebug, said->message); });
}

// The unit of gRPC's arguments.
int in_ms(std::chrono::milliseconds time) { return static_cast<int>(time.count()); }

void set_arguments(::grpc::ServerBuilder& builder, const GrpcOptions& options) {
  ::grpc::ResourceQuota quota("tessera");
  quota.Resize(static_cast<std::size_t>(options.max_memory.value));
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_message.value));
  builder.SetMaxSendMessageSize(-1);
  // See unpack.h.
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  // A second server on the port is a mistake to be told of, not a load balancer.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_streams_per_connection);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, in_ms(kKeepalive));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, in_ms(kKeepaliveTimeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, in_ms(kClientPingInterval));
  // Fixed windows instead of measuring pings; no bookkeeping that nobody reads.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kLookaheadBytes);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kFrameBytes);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CENSUS, 0);
}

}  // namespace

// Thread-safe once started.
class GrpcServer::State final : public RpcAcceptor {
 public:
  State(const GrpcOptions& options, runtime::Service& service, SharedMemory& shared_memory)
      : backend(service, shared_memory),
        deadlines(options.message_time),
        surroundings{*this, deadlines, helper, static_cast<std::size_t>(options.max_message.value)} {
    add_inference_methods(methods, backend, streams, helper);
    add_health_methods(methods, backend, streams, monitor);
  }

  ~State() override {
    helper.stop();
    deadlines.stop();
    if (queue) queue->Shutdown();
    for (std::thread& thread : threads) thread.join();
    if (!queue) return;
    // Where the server never started there may be steps that no thread took.
    run();
  }

  void start_threads(int count, const std::vector<CpuSet>& places) {
    // Some calls are waited for in advance, so that a burst finds them.
    constexpr int kWaiting = 16;
    deadlines.start(*queue);
    for (int i = 0; i < kWaiting * count; ++i) wait_for_call();
    for (int i = 0; i < count; ++i) {
      std::optional<CpuSet> where;
      if (!places.empty()) where = places[static_cast<std::size_t>(i) % places.size()];
      threads.emplace_back([this, where] {
        name_this_thread("grpc");
        take_short_slices();
        if (where) {
          if (const Status pinned = pin_this_thread(*where); !pinned.ok()) {
            log(LogLevel::kWarning, "a gRPC thread runs anywhere", {{"error", pinned.error().message()}});
          }
        }
        run();
      });
    }
  }

  void accepted(const std::shared_ptr<Rpc>& rpc) override {
    wait_for_call();
    if (const auto handler = methods.make(rpc)) {
      rpc->serve(handler);
    } else {
      rpc->finish({::grpc::StatusCode::UNIMPLEMENTED, "there is no method " + rpc->method()});
    }
  }

  Backend backend;
  HelperThread helper;
  OpenStreams streams;
  HealthMonitor monitor;
  MethodTable methods;
  ::grpc::AsyncGenericService calls;
  std::unique_ptr<::grpc::ServerCompletionQueue> queue;
  MessageDeadlines deadlines;
  const RpcSurroundings surroundings;
  std::vector<std::thread> threads;
  std::unique_ptr<::grpc::Server> server;
  std::uint16_t port = 0;
  std::once_flag shut_down;

 private:
  void wait_for_call() { std::make_shared<Rpc>(surroundings)->accept(calls, *queue); }

  void run() {
    void* tag = nullptr;
    bool ok = false;
    while (queue->Next(&tag, &ok)) static_cast<QueueTag*>(tag)->complete(ok);
  }
};

GrpcServer::GrpcServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

GrpcServer::~GrpcServer() { shut_down(std::chrono::milliseconds(0)); }

Result<std::unique_ptr<GrpcServer>> GrpcServer::start(const GrpcOptions& options, runtime::Service& service,
                                                      SharedMemory& shared_memory) {
  auto state = std::make_unique<State>(options, service, shared_memory);
  quiet_library();
  ::grpc::ServerBuilder builder;
  set_arguments(builder, options);
  int port = 0;
  const std::string where = endpoint(options.address, options.port);
  builder.AddListeningPort(where, ::grpc::InsecureServerCredentials(), &port);
  builder.RegisterAsyncGenericService(&state->calls);
  state->queue = builder.AddCompletionQueue();
  state->server = builder.BuildAndStart();
  if (state->server == nullptr || port <= 0) {
    return unavailable("gRPC cannot listen on " + where + ": the port is in use or the address is not this machine's");
  }
  state->port = static_cast<std::uint16_t>(port);
  state->start_threads(options.threads, options.places);
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(state)));  // NOLINT: the constructor is private
}

std::uint16_t GrpcServer::port() const { return state_->port; }

void GrpcServer::shut_down(std::chrono::milliseconds limit) {
  std::call_once(state_->shut_down, [&] {
    state_->streams.close_all();
    state_->server->Shutdown(std::chrono::system_clock::now() + limit);
  });
}

std::int64_t GrpcServer::open_streams() const { return state_->backend.open_streams.load(std::memory_order_relaxed); }

std::int64_t GrpcServer::open_inferences() const {
  return state_->backend.open_inferences.load(std::memory_order_relaxed);
}

}  // namespace tessera::server
