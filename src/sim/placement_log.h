// What a run with models that come and go looked like over time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "loadgen/workload.h"
#include "sim/cluster.h"

namespace tessera::sim {

// Counts by step of time what a cluster's `moved` and `answered` tell, from the beginning of the run on. Owned by one
// thread.
class PlacementLog {
 public:
  static constexpr std::size_t kSteps = 100;

  PlacementLog(const std::vector<loadgen::Tenant>& tenants, const ClusterOptions& options);

  void moved(const Move& move);
  void answered(const Answer& answer);

  // An object: "step_seconds", "total", and "steps". Each of these has what began to load, by why: "first" (it was on
  // no device yet), "back" (where it was last), "migrations" (elsewhere), "further" (it is on others, too); "unloads";
  // "replicas" at its end; of the requests that came in it how many there were, how many were answered within their
  // objectives ("met"), and how many had to wait for their model ("waited").
  std::string json() const;
  std::string line() const;  // the totals, for a person

 private:
  struct Counts {
    std::uint64_t first = 0;
    std::uint64_t back = 0;
    std::uint64_t migrations = 0;
    std::uint64_t further = 0;
    std::uint64_t unloads = 0;
    std::uint64_t replicas = 0;
    std::uint64_t requests = 0;
    std::uint64_t met = 0;
    std::uint64_t waited = 0;
  };
  struct Model {
    std::set<std::uint32_t> on;
    bool was_somewhere = false;
    std::uint32_t last = 0;  // the device that it left when it was on no other
  };
  Counts& step(TimePoint at);
  Counts total() const;

  const std::vector<loadgen::Tenant>& tenants_;
  const Duration step_;
  std::vector<Counts> steps_;
  std::vector<Model> models_;
  std::uint64_t replicas_ = 0;
  std::size_t counted_ = 0;  // steps whose replicas are known: all before this one
};

}  // namespace tessera::sim
