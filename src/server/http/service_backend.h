// The backend that a server has: its service and its shared memory.
#pragma once

#include <memory>
#include <utility>

#include "server/asks.h"
#include "server/helper_thread.h"
#include "server/http/backend.h"

namespace tessera::server::http {

// Thread-safe. Both outlive it.
class ServiceBackend final : public Backend {
 public:
  ServiceBackend(runtime::Service& service, SharedMemory& shared_memory, Asks asks)
      : service_(service), shared_memory_(shared_memory), asks_(std::move(asks)) {}

  void infer(std::shared_ptr<runtime::InferCall> call) override { service_.infer(std::move(call)); }
  void cancel(const runtime::InferCall& call) override { service_.cancel(call); }
  Result<std::shared_ptr<runtime::BodyMemory>> lease_body(std::string_view model, Bytes size) override {
    return service_.lease_body(model, size);
  }
  Result<std::shared_ptr<const model::Instance>> find(std::string_view model,
                                                      std::optional<std::int64_t> version) override {
    return service_.find(model, version);
  }
  void count_copied(Bytes bytes) override { service_.count_copied(bytes); }
  const SharedMemory& shared_memory() override { return shared_memory_; }
  void control(const Route& route, Method method, std::string body, Reply reply) override;

 private:
  Answer model_endpoint(const Route& route);
  Answer index(std::string_view body);
  Answer params(const Route& route, Method method, std::string_view body);
  Answer policy(Method method, std::string_view body);
  void load(const Route& route, std::string_view body, Reply reply);
  void unload(const Route& route, std::string_view body, Reply reply);
  void devices(Method method, std::string_view body, Reply reply);
  Answer shared_memory_endpoint(const Route& route, std::string_view body);

  runtime::Service& service_;
  SharedMemory& shared_memory_;
  const Asks asks_;
  HelperThread helper_;  // last: it uses everything above
};

}  // namespace tessera::server::http
