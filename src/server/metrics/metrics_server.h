// GET /metrics on a port of its own, in Prometheus's text format: Triton's names, and ours under tessera_.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/service.h"

namespace tessera::server {

struct MetricsOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8002;  // 0: any free one
};

// A figure that somebody else knows. `value` is called at every scrape, on a thread of the server.
struct MetricSource {
  enum class Kind { kGauge, kCounter };
  std::string name;
  std::string help;
  Kind kind = Kind::kGauge;
  std::function<double()> value;
};

// Thread-safe. Nothing is collected but at a scrape.
class MetricsServer {
 public:
  // `service` outlives the server, and so does what `sources` refer to. Error: kUnavailable, the address cannot be had.
  static Result<std::unique_ptr<MetricsServer>> start(const MetricsOptions& options, const runtime::Service& service,
                                                      std::vector<MetricSource> sources);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  std::uint16_t port() const;

 private:
  class State;
  explicit MetricsServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tessera::server
