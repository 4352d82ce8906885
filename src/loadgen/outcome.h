// What came out of a run: simulated, or against a server.
#pragma once

#include <optional>
#include <vector>

#include "base/time.h"
#include "loadgen/measure.h"

namespace tessera::loadgen {

struct TenantOutcome {
  std::optional<Duration> slo;
  Tally tally;
};

// Value.
struct Outcome {
  std::vector<TenantOutcome> tenants;  // in the workload's order
  double seconds = 0;                  // that counted
  bool gave_up = false;                // a tenant had more misses than it may have, and the run ended

  double worst_attainment() const;  // of the tenants with an objective
  double goodput() const;           // of these, a second: answers within their objective
};

}  // namespace tessera::loadgen
