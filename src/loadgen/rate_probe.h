// One rate that is tried with several seeds of arrivals, until all have run or it is clear that it fails.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "loadgen/outcome.h"
#include "loadgen/workload.h"

namespace tessera::loadgen {

struct ProbeOptions {
  int seeds = 5;                                     // arrivals of their own; outcomes are pooled
  double attainment = 0.99;                          // of every tenant that has an objective
  std::uint64_t least_requests = 5000;               // that the slowest tenant sees, over all seeds
  Duration most_length = std::chrono::seconds(600);  // of one run
};

// What came of it. Value.
struct Probe {
  double rate = 0;
  bool passed = false;
  bool complete = false;          // all seeds ran to their end; otherwise it was clear before
  double worst = 0;               // attainment
  double goodput = 0;             // a second
  std::vector<Outcome> outcomes;  // by seed
};

// The outcome at a total rate with a seed of arrivals. The tenants with an objective must be the same at every rate.
// `length` is how long the counted part is to be. It may give up once a tenant has more misses than `most_misses` says.
using Trial = std::function<Result<Outcome>(double rate, std::uint64_t seed, Duration length,
                                            const std::vector<std::uint64_t>& most_misses)>;

// Of a run at that total rate: long enough that over all seeds the slowest tenant with an objective sees what the
// options ask for. `tenants` as below.
Duration run_length(const std::vector<Tenant>& tenants, const ProbeOptions& options, double rate);

// Over all seeds, or all but one.
Tally pooled(const std::vector<Outcome>& outcomes, std::size_t tenant, std::optional<std::size_t> without = {});
// The least attainment of the tenants with an objective, pooled likewise.
double worst_attainment(const std::vector<Tenant>& tenants, const std::vector<Outcome>& outcomes,
                        std::optional<std::size_t> without = {});

// Owned by one thread; must not outlive `tenants`, which are resolved for a total rate of 1, so that rates are shares
// of it.
class RateProbe {
 public:
  RateProbe(const std::vector<Tenant>& tenants, const ProbeOptions& options, double rate, std::uint64_t first_seed = 0);

  bool settled() const { return hopeless_ || static_cast<int>(probe_.outcomes.size()) == options_.seeds; }
  // With the next seed. Not once it is settled.
  Status run_next(const Trial& trial);
  Probe probe() &&;

 private:
  const std::vector<Tenant>& tenants_;
  const ProbeOptions options_;
  const std::uint64_t first_seed_;
  const Duration length_;
  std::vector<std::uint64_t> left_;  // misses, by tenant, until it is clear
  bool hopeless_ = false;
  Probe probe_;
};

}  // namespace tessera::loadgen
