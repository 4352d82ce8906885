// A workload on a kind of device: what a run or a search is about.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loadgen/search.h"
#include "loadgen/workload.h"
#include "sim/cluster.h"
#include "sim/profiles.h"

namespace tessera::sim {

// Immutable; may be used by any number of threads at once. Outcomes and clusters made of it must not outlive it.
struct Scenario {
  loadgen::Workload workload;
  DeviceProfile device;

  // As loadgen::resolve.
  Result<std::vector<loadgen::Tenant>> tenants(std::optional<double> total_rate,
                                               std::optional<double> slo_factor) const;
  // Of `options.devices` devices, with seeds from options.seed on. `how.start` 0: half of the fractional bound. `tries`
  // hears of each run before it begins: rate, and seed from 0 on; it may be empty.
  Result<loadgen::Capacity> capacity(const ClusterOptions& options, loadgen::SearchOptions how,
                                     std::optional<double> slo_factor,
                                     const std::function<void(double rate, std::uint64_t seed)>& tries) const;
  Result<double> fractional_bound(std::size_t devices, std::optional<double> slo_factor) const;
  // On the arrivals that capacity() with the same options would draw.
  Result<double> clairvoyant_bound(const ClusterOptions& options, const loadgen::SearchOptions& how,
                                   std::optional<double> slo_factor) const;
};

// The error lists the devices that the profiles have.
Result<DeviceProfile> choose_device(std::string_view profiles, std::string_view file, const std::string& device);

}  // namespace tessera::sim
