// How much a server or a policy carries: the highest total rate at which every tenant attains its objective.
#pragma once

#include <vector>

#include "base/result.h"
#include "loadgen/rate_probe.h"
#include "loadgen/workload.h"

namespace tessera::loadgen {

struct SearchOptions : ProbeOptions {
  double precision = 0.01;  // of the rate
  double start = 0;         // total rate at which to begin
};

struct Capacity {
  double rate = 0;     // the highest that passed; 0: none did
  double goodput = 0;  // there
  double low = 0;      // 95 % confidence interval of the rate, by the jackknife over seeds
  double high = 0;
  std::vector<double> without;  // the rate as it would be without one of the seeds, by seed
  std::vector<Probe> probes;    // by rate
};

// `tenants`: resolved for a total rate of 1, so that rates are shares of it.
Result<Capacity> find_capacity(const std::vector<Tenant>& tenants, const SearchOptions& options, const Trial& trial);

// The ratio of two capacities and its 95 % interval, by the jackknife over the seeds: with the same seeds both saw the
// same arrivals, whose luck is in both. All 0 where one of them is.
struct Ratio {
  double value = 0;
  double low = 0;
  double high = 0;
};
Ratio ratio(const Capacity& a, const Capacity& b);

}  // namespace tessera::loadgen
