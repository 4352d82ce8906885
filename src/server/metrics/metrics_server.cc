#include "server/metrics/metrics_server.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>

#include <exception>
#include <iterator>
#include <optional>
#include <utility>

#include "server/metrics/families.h"

namespace tessera::server {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

void append(std::vector<MetricFamily>& to, std::vector<MetricFamily> from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

// Thread-safe: reads what is thread-safe to read.
class Collector final : public prometheus::Collectable {
 public:
  Collector(const runtime::Service& service, std::vector<MetricSource> sources)
      : service_(service), sources_(std::move(sources)) {}

  std::vector<MetricFamily> Collect() const override {  // NOLINT(readability-identifier-naming)
    std::vector<MetricFamily> out = model_families(service_.statistics());
    append(out, device_families(service_.device_statistics()));
    out.push_back(policy_family(service_.policy()));
    append(out, process_families());
    for (const MetricSource& source : sources_) {
      MetricFamily& family = out.emplace_back();
      family.name = source.name;
      family.help = source.help;
      family.type = source.kind == MetricSource::Kind::kCounter ? MetricType::Counter : MetricType::Gauge;
      auto& metric = family.metric.emplace_back();
      (source.kind == MetricSource::Kind::kCounter ? metric.counter.value : metric.gauge.value) = source.value();
    }
    // A family without samples would be a title without a text.
    std::erase_if(out, [](const MetricFamily& family) { return family.metric.empty(); });
    return out;
  }

 private:
  const runtime::Service& service_;
  const std::vector<MetricSource> sources_;
};

std::string endpoint(const MetricsOptions& options) {
  const bool v6 = options.address.find(':') != std::string::npos && options.address.front() != '[';
  return (v6 ? "[" + options.address + "]" : options.address) + ":" + std::to_string(options.port);
}

}  // namespace

// The port and what is asked through it. Immutable once started.
class MetricsServer::State {
 public:
  std::shared_ptr<Collector> collector;
  std::optional<prometheus::Exposer> exposer;  // joins its threads before the collector goes
  std::uint16_t port = 0;
};

MetricsServer::MetricsServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
MetricsServer::~MetricsServer() = default;

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(const MetricsOptions& options,
                                                            const runtime::Service& service,
                                                            std::vector<MetricSource> sources) {
  auto state = std::make_unique<State>();
  state->collector = std::make_shared<Collector>(service, std::move(sources));
  try {
    // Scrapes are rare and short: two threads, and a peer that is slow to ask is dropped.
    state->exposer.emplace(std::vector<std::string>{"listening_ports", endpoint(options), "num_threads", "2",
                                                    "request_timeout_ms", "10000"});
    state->exposer->RegisterCollectable(state->collector);
    const auto ports = state->exposer->GetListeningPorts();
    if (ports.empty()) return unavailable("metrics: no port was opened for " + endpoint(options));
    state->port = static_cast<std::uint16_t>(ports.front());
  } catch (const std::exception&) {  // whose text does not say more
    const bool v6 = options.address.find(':') != std::string::npos;
    return unavailable("metrics cannot listen on " + endpoint(options) +
                       (v6 ? ": Debian's civetweb speaks IPv4 only, give --metrics-address an IPv4 address"
                           : ": the port is in use or the address is not this machine's"));
  }
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(state)));  // NOLINT: the constructor is private
}

std::uint16_t MetricsServer::port() const { return state_->port; }

}  // namespace tessera::server
