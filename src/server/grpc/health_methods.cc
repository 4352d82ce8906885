#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "health.pb.h"
#include "server/grpc/backend.h"
#include "server/grpc/health_monitor.h"
#include "server/grpc/methods.h"
#include "server/grpc/open_streams.h"

namespace tessera::server {
namespace {

using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;
using ServingStatus = HealthCheckResponse::ServingStatus;

ServingStatus serving_status(const runtime::Service& service, const std::string& name) {
  const auto from = [](bool serving) {
    return serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  };
  if (name.empty() || name == "inference.GRPCInferenceService") return from(service.ready());
  const auto found = service.find(name, std::nullopt);
  const bool unknown = !found.ok() && found.error().code() == ErrorCode::kNotFound;
  return unknown ? HealthCheckResponse::SERVICE_UNKNOWN : from(found.ok() && service.accepts());
}

// One Watch call. Thread-safe: the queue's threads and the monitor's meet under the lock.
class HealthWatch final : public RpcHandler,
                          public HealthWatcher,
                          public ClosableStream,
                          public std::enable_shared_from_this<HealthWatch> {
 public:
  HealthWatch(Backend& backend, OpenStreams& streams, HealthMonitor& monitor, std::shared_ptr<Rpc> rpc)
      : backend_(backend), streams_(streams), monitor_(monitor), rpc_(std::move(rpc)) {}

  void begin() override { rpc_->start_only_read(); }

  void read_done(bool ok) override {
    if (!ok || !parse(rpc_->message(), request_)) {
      const std::lock_guard lock(mutex_);
      finish(no_message());
      return;
    }
    look();
    if (!streams_.add(shared_from_this())) close();
    monitor_.add(shared_from_this());
  }

  void look() override {
    const ServingStatus status = serving_status(backend_.service(), request_.service());
    const std::lock_guard lock(mutex_);
    wanted_ = status;
    write_next();
  }

  void write_done(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) finish(::grpc::Status::CANCELLED);
    if (ending_) end();
    write_next();
  }

  void cancelled() override {
    const std::lock_guard lock(mutex_);
    finish(::grpc::Status::CANCELLED);
  }

  void close() override {
    const std::lock_guard lock(mutex_);
    finish({::grpc::StatusCode::UNAVAILABLE, "the server is shutting down"});
  }

 private:
  void write_next() {
    if (writing_ || ending_ || wanted_ == told_) return;
    writing_ = true;
    told_ = wanted_;
    HealthCheckResponse message;
    message.set_status(told_);
    rpc_->start_write(serialize(message));
  }

  // The first reason to finish counts; a write that is under way ends before.
  void finish(const ::grpc::Status& status) {
    if (ending_) return;
    ending_ = true;
    status_ = status;
    if (!writing_) end();
  }

  void end() {
    if (ended_) return;
    ended_ = true;
    rpc_->finish(status_);
  }

  Backend& backend_;
  OpenStreams& streams_;
  HealthMonitor& monitor_;
  const std::shared_ptr<Rpc> rpc_;
  HealthCheckRequest request_;
  std::mutex mutex_;
  ServingStatus wanted_ = HealthCheckResponse::UNKNOWN;  // never told: the first real one differs
  ServingStatus told_ = HealthCheckResponse::UNKNOWN;
  bool writing_ = false;
  bool ending_ = false;
  bool ended_ = false;
  ::grpc::Status status_;
};

}  // namespace

void add_health_methods(MethodTable& table, Backend& backend, OpenStreams& streams, HealthMonitor& monitor) {
  table.add_message<HealthCheckRequest, HealthCheckResponse>(
      "/grpc.health.v1.Health/Check", [&backend](const auto& request, auto& response) -> Status {
        const ServingStatus status = serving_status(backend.service(), request.service());
        if (status == HealthCheckResponse::SERVICE_UNKNOWN) return not_found("unknown service");
        response.set_status(status);
        return ok_status();
      });
  table.add("/grpc.health.v1.Health/Watch", [&backend, &streams, &monitor](std::shared_ptr<Rpc> rpc) {
    return std::make_shared<HealthWatch>(backend, streams, monitor, std::move(rpc));
  });
}

}  // namespace tessera::server
