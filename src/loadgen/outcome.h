// What came out of a run: simulated, or against a server.
#pragma once

#include <optional>
#include <vector>

#include "base/histogram.h"
#include "base/time.h"
#include "loadgen/measure.h"

namespace tessera::loadgen {

struct TenantOutcome {
  std::optional<Duration> slo;
  Tally tally;
};

// How late requests were handed to the target, against their schedule. Those of closed loops have none, and would hide
// the others. Of simulations: nothing. Value.
struct Lateness {
  Histogram all;
  Duration worst{0};
  Duration limit{0};  // of the 99th percentile

  bool kept() const { return all.quantile(0.99) <= limit; }
  void merge(const Lateness& other);  // whose limit is the same
};

// What ran on a target's devices in the counted time, as far as it is known: `atoms` is 0 where it is not. Value.
struct Busy {
  double atom_seconds = 0;
  double seconds = 0;  // over which these were counted
  int atoms = 0;

  void merge(const Busy& other);
  double share() const { return atoms == 0 || seconds <= 0 ? 0 : atom_seconds / seconds / atoms; }
};

// Value.
struct Outcome {
  std::vector<TenantOutcome> tenants;  // in the workload's order
  double seconds = 0;                  // that counted
  bool gave_up = false;                // a tenant had more misses than it may have, and the run ended
  Lateness lateness;
  Busy busy;

  double worst_attainment() const;  // of the tenants with an objective
  double goodput() const;           // of these, a second: answers within their objective
};

}  // namespace tessera::loadgen
