// The methods that this server answers, by name.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "server/grpc/backend.h"
#include "server/grpc/health_monitor.h"
#include "server/grpc/message_call.h"
#include "server/grpc/open_streams.h"
#include "server/grpc/rpc.h"
#include "server/helper_thread.h"

namespace tessera::server {

// Filled before the first call, immutable from then on.
class MethodTable {
 public:
  using Make = std::function<std::shared_ptr<RpcHandler>(std::shared_ptr<Rpc>)>;

  void add(const std::string& name, Make make) { methods_.emplace(name, std::move(make)); }

  // A method that answers at once: Status work(const Request&, Response&).
  template <typename Request, typename Response, typename Work>
  void add_message(const std::string& name, Work work) {
    add_later<Request, Response>(
        name, [work](const Request& request, Response& response, auto finish) { finish(work(request, response)); });
  }

  // A method that may answer later: void work(const Request&, Response&, finish).
  template <typename Request, typename Response, typename Work>
  void add_later(const std::string& name, Work work) {
    using Call = MessageCall<Request, Response>;
    // Shared, as the copies of a std::function are, so that the calls' references stay good.
    const auto kept = std::make_shared<const typename Call::Work>(std::move(work));
    add(name, [kept](std::shared_ptr<Rpc> rpc) { return std::make_shared<Call>(std::move(rpc), *kept); });
  }

  // Nothing for an unknown name.
  std::shared_ptr<RpcHandler> make(std::shared_ptr<Rpc> rpc) const {
    const auto found = methods_.find(rpc->method());
    return found == methods_.end() ? nullptr : found->second(std::move(rpc));
  }

 private:
  std::unordered_map<std::string, Make> methods_;
};

// inference.GRPCInferenceService: Triton's superset of the Open Inference Protocol v2. What reads folders does so on
// the helper thread.
void add_inference_methods(MethodTable& table, Backend& backend, OpenStreams& streams, HelperThread& helper);

// grpc.health.v1.Health. An empty service name and the inference service's ask for the server, others for a model.
void add_health_methods(MethodTable& table, Backend& backend, OpenStreams& streams, HealthMonitor& monitor);

}  // namespace tessera::server
