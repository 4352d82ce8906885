#include "sim/scenario.h"

#include <utility>

#include "sim/bounds.h"

namespace tessera::sim {

Result<std::vector<loadgen::Tenant>> Scenario::tenants(std::optional<double> total_rate,
                                                       std::optional<double> slo_factor) const {
  const auto cost = [this](const std::string& name) -> Result<loadgen::ModelCost> {
    TESSERA_ASSIGN_OR_RETURN(const ModelProfile* model, device.model(name));
    return loadgen::ModelCost{device.whole(*model, 1), device.whole(*model, 8)};
  };
  return loadgen::resolve(workload, cost, total_rate, slo_factor);
}

Result<double> Scenario::fractional_bound(std::size_t devices, std::optional<double> slo_factor) const {
  TESSERA_ASSIGN_OR_RETURN(const auto shares, tenants(1.0, slo_factor));
  return sim::fractional_bound(device, devices, shares);
}

Result<double> Scenario::clairvoyant_bound(const ClusterOptions& options, const loadgen::SearchOptions& how,
                                           std::optional<double> slo_factor) const {
  TESSERA_ASSIGN_OR_RETURN(const auto shares, tenants(1.0, slo_factor));
  return sim::clairvoyant_bound(device, options.devices, shares, how, options.seed);
}

Result<loadgen::Capacity> Scenario::capacity(const ClusterOptions& options, loadgen::SearchOptions how,
                                             std::optional<double> slo_factor,
                                             const std::function<void(double rate, std::uint64_t seed)>& tries) const {
  TESSERA_ASSIGN_OR_RETURN(const auto shares, tenants(1.0, slo_factor));
  if (how.start == 0) {
    TESSERA_ASSIGN_OR_RETURN(const double bound, sim::fractional_bound(device, options.devices, shares));
    if (bound == 0) {
      return invalid_argument("no rate is low enough: an objective is below its model's fastest latency; raise it");
    }
    how.start = bound / 2;
  }
  const auto trial = [&](double rate, std::uint64_t seed, Duration length,
                         const std::vector<std::uint64_t>& most_misses) -> Result<loadgen::Outcome> {
    if (tries) {
      tries(rate, seed);
    }
    TESSERA_ASSIGN_OR_RETURN(auto asking, tenants(rate, slo_factor));
    ClusterOptions one = options;
    one.seed = options.seed + seed;
    one.length = length;
    one.most_misses = most_misses;
    TESSERA_ASSIGN_OR_RETURN(const auto cluster, Cluster::make(device, std::move(asking), one));
    Outcome outcome = cluster->run({});
    loadgen::Outcome& counted = outcome;
    return std::move(counted);
  };
  return loadgen::find_capacity(shares, how, trial);
}

Result<DeviceProfile> choose_device(std::string_view profiles, std::string_view file, const std::string& device) {
  TESSERA_ASSIGN_OR_RETURN(auto known, parse_profiles(profiles, file));
  const auto found = known.find(device);
  if (found != known.end()) {
    return std::move(found->second);
  }
  std::string message = std::string(file) + " has no device '" + device + "'; it has";
  for (const auto& entry : known) {
    message.append(entry.first == known.begin()->first ? " " : ", ").append(entry.first);
  }
  return not_found(message);
}

}  // namespace tessera::sim
