// How much a server or a policy carries: the highest total rate at which every tenant attains its objective.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "loadgen/outcome.h"
#include "loadgen/workload.h"

namespace tessera::loadgen {

struct SearchOptions {
  int seeds = 5;                                     // arrivals of their own; outcomes are pooled
  double attainment = 0.99;                          // of every tenant that has an objective
  std::uint64_t least_requests = 5000;               // that the slowest tenant sees, over all seeds
  double precision = 0.01;                           // of the rate
  double start = 0;                                  // total rate at which to begin
  Duration most_length = std::chrono::seconds(600);  // of one run
};

// One rate that was tried. Value.
struct Probe {
  double rate = 0;
  bool passed = false;
  bool complete = false;          // all seeds ran to their end; otherwise it was clear before
  double worst = 0;               // attainment
  double goodput = 0;             // a second
  std::vector<Outcome> outcomes;  // by seed
};

// Of a run at that total rate: long enough that over all seeds the slowest tenant with an objective sees what the
// options ask for. `tenants` as below.
Duration run_length(const std::vector<Tenant>& tenants, const SearchOptions& options, double rate);

struct Capacity {
  double rate = 0;     // the highest that passed; 0: none did
  double goodput = 0;  // there
  double low = 0;      // 95 % confidence interval of the rate, by the jackknife over seeds
  double high = 0;
  std::vector<Probe> probes;  // by rate
};

// The outcome at a total rate with a seed of arrivals. The tenants with an objective must be the same at every rate.
// `length` is how long the counted part is to be; It may give up once a tenant has
// more misses than `most_misses` says.
using Trial = std::function<Result<Outcome>(double rate, std::uint64_t seed, Duration length,
                                            const std::vector<std::uint64_t>& most_misses)>;

// `tenants`: resolved for a total rate of 1, so that rates are shares of it.
Result<Capacity> find_capacity(const std::vector<Tenant>& tenants, const SearchOptions& options, const Trial& trial);

// The ratio of two capacities and its 95 % interval, taken as independent.
struct Ratio {
  double value = 0;
  double low = 0;
  double high = 0;
};
Ratio ratio(const Capacity& a, const Capacity& b);

}  // namespace tessera::loadgen
