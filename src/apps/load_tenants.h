// Who asks in a run of `tessera load`: the workload with the numbers that the server's models give it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/load.h"
#include "base/result.h"
#include "loadgen/target.h"
#include "loadgen/workload.h"

namespace tessera::apps {

// From the file, or of the models named on the command line, each with an equal share of the rate or a closed loop.
Result<loadgen::Workload> workload_of(const LoadOptions& options);

// Owned by one thread. Must not outlive its target.
class LoadPlan {
 public:
  LoadPlan(loadgen::Workload given, const LoadOptions& options, loadgen::Target& target)
      : workload(std::move(given)), options_(options), target_(target) {}

  // Has the target make its requests ready, and measures what objectives and rates are multiples of: each model alone,
  // one request after the other.
  Status prepare();
  // With their rates. `total_rate` as in loadgen::resolve.
  Result<std::vector<loadgen::Tenant>> tenants(std::optional<double> total_rate) const;

  // A total rate that is far from too high for tenants resolved for a total of 1. Needs prepare() and --search.
  double careful_rate(const std::vector<loadgen::Tenant>& shares) const;

  const loadgen::Workload workload;

 private:
  Status measure(std::size_t tenant);

  const LoadOptions& options_;
  loadgen::Target& target_;
  std::map<std::string, loadgen::ModelCost> costs_;
};

}  // namespace tessera::apps
