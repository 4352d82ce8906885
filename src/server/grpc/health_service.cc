#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "health.grpc.pb.h"
#include "server/grpc/backend.h"
#include "server/grpc/open_streams.h"
#include "server/grpc/services.h"

namespace tessera::server {
namespace {

using ::grpc::CallbackServerContext;
using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;
using ServingStatus = HealthCheckResponse::ServingStatus;

// How soon a watcher hears of a change.
constexpr std::chrono::milliseconds kWatchInterval{100};

ServingStatus serving_status(const runtime::Service& service, const std::string& name) {
  const auto from = [](bool serving) {
    return serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  };
  if (name.empty() || name == "inference.GRPCInferenceService") return from(service.ready());
  return service.find(name, std::nullopt).ok() ? from(service.live()) : HealthCheckResponse::SERVICE_UNKNOWN;
}

// One Watch call. Thread-safe: gRPC's callbacks and the watching thread meet under the lock.
class HealthWatch final : public ::grpc::ServerWriteReactor<HealthCheckResponse>, public ClosableStream {
 public:
  explicit HealthWatch(std::string service) : service_(std::move(service)) {}

  void begin(const std::shared_ptr<HealthWatch>& self) { self_ = self; }
  const std::string& service() const { return service_; }

  void tell(ServingStatus status) {
    const std::lock_guard lock(mutex_);
    wanted_ = status;
    write_next();
  }

  void OnWriteDone(bool ok) override {  // NOLINT(readability-identifier-naming)
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (ok) {
      write_next();
    } else {
      finish(::grpc::Status::CANCELLED);
    }
  }

  void OnCancel() override {  // NOLINT(readability-identifier-naming)
    const std::lock_guard lock(mutex_);
    finish(::grpc::Status::CANCELLED);
  }

  void OnDone() override { const auto last = std::move(self_); }  // NOLINT(readability-identifier-naming)

  void close() override {
    const std::lock_guard lock(mutex_);
    finish({::grpc::StatusCode::UNAVAILABLE, "the server is shutting down"});
  }

 private:
  void write_next() {
    if (writing_ || finished_ || wanted_ == told_) return;
    writing_ = true;
    told_ = wanted_;
    message_.set_status(told_);
    StartWrite(&message_);
  }

  void finish(const ::grpc::Status& status) {
    if (finished_) return;
    finished_ = true;
    Finish(status);
  }

  const std::string service_;
  std::mutex mutex_;
  HealthCheckResponse message_;
  ServingStatus wanted_ = HealthCheckResponse::UNKNOWN;  // never told: the first real one differs
  ServingStatus told_ = HealthCheckResponse::UNKNOWN;
  bool writing_ = false;
  bool finished_ = false;
  std::shared_ptr<HealthWatch> self_;  // keeps the reactor while gRPC knows it
};

// Thread-safe. Readiness has no event of its own, so a thread compares while somebody watches, and sleeps otherwise.
class HealthService final : public ::grpc::health::v1::Health::CallbackService {
 public:
  HealthService(Backend& backend, OpenStreams& streams)
      : backend_(backend), streams_(streams), thread_([this] { run(); }) {}

  ~HealthService() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  // NOLINTBEGIN(readability-identifier-naming): names are those of the protocol

  ::grpc::ServerUnaryReactor* Check(CallbackServerContext* context, const HealthCheckRequest* request,
                                    HealthCheckResponse* response) override {
    ::grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const ServingStatus status = serving_status(backend_.service(), request->service());
    response->set_status(status);
    reactor->Finish(status == HealthCheckResponse::SERVICE_UNKNOWN
                        ? ::grpc::Status(::grpc::StatusCode::NOT_FOUND, "unknown service")
                        : ::grpc::Status::OK);
    return reactor;
  }

  ::grpc::ServerWriteReactor<HealthCheckResponse>* Watch(CallbackServerContext* /*context*/,
                                                         const HealthCheckRequest* request) override {
    auto watch = std::make_shared<HealthWatch>(request->service());
    watch->begin(watch);
    watch->tell(serving_status(backend_.service(), watch->service()));
    if (!streams_.add(watch)) watch->close();
    {
      const std::lock_guard lock(mutex_);
      watches_.push_back(watch);
    }
    changed_.notify_all();
    return watch.get();
  }

  // NOLINTEND(readability-identifier-naming)

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (watches_.empty()) {
        changed_.wait(lock, [this] { return stopping_ || !watches_.empty(); });
      } else {
        changed_.wait_for(lock, kWatchInterval, [this] { return stopping_; });
      }
      std::erase_if(watches_, [](const std::weak_ptr<HealthWatch>& watch) { return watch.expired(); });
      const auto watches = watches_;
      lock.unlock();
      for (const auto& known : watches) {
        if (const auto watch = known.lock()) watch->tell(serving_status(backend_.service(), watch->service()));
      }
      lock.lock();
    }
  }

  Backend& backend_;
  OpenStreams& streams_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::weak_ptr<HealthWatch>> watches_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<::grpc::Service> make_health_service(Backend& backend, OpenStreams& streams) {
  return std::make_unique<HealthService>(backend, streams);
}

}  // namespace tessera::server
