#include "loadgen/search.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tessera::loadgen {
namespace {

constexpr double kBracketStep = 1.25;
constexpr int kMostProbes = 40;

// Two-sided 95 % of Student's t by degrees of freedom from 1 on.
double student(int freedom) {
  constexpr double kTable[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                               2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086};
  constexpr int kKnown = static_cast<int>(std::size(kTable));
  return freedom < 1 ? 0 : kTable[std::min(freedom, kKnown) - 1];
}

class Search {
 public:
  Search(const std::vector<Tenant>& tenants, const SearchOptions& options, const Trial& trial)
      : tenants_(tenants), options_(options), trial_(trial) {}

  Result<Capacity> run();

 private:
  Result<bool> probe(double rate);
  double crossing(const std::vector<Probe>& probes, std::size_t without) const;
  void interval(Capacity& out) const;

  const std::vector<Tenant>& tenants_;
  const SearchOptions& options_;
  const Trial& trial_;
  std::vector<Probe> probes_;
};

Result<bool> Search::probe(double rate) {
  RateProbe one(tenants_, options_, rate);
  while (!one.settled()) {
    TESSERA_RETURN_IF_ERROR(one.run_next(trial_));
  }
  probes_.push_back(std::move(one).probe());
  return probes_.back().passed;
}

Result<Capacity> Search::run() {
  double rate = options_.start;
  TESSERA_ASSIGN_OR_RETURN(const bool passed, probe(rate));
  // The crossing lies between a rate that passes and one that does not.
  double low = passed ? rate : 0;
  double high = passed ? 0 : rate;
  while ((low == 0 || high == 0) && static_cast<int>(probes_.size()) < kMostProbes) {
    rate = passed ? rate * kBracketStep : rate / kBracketStep;
    TESSERA_ASSIGN_OR_RETURN(const bool again, probe(rate));
    (again ? low : high) = rate;
  }
  while (low > 0 && high > low * (1 + options_.precision) && static_cast<int>(probes_.size()) < kMostProbes) {
    rate = std::sqrt(low * high);
    TESSERA_ASSIGN_OR_RETURN(const bool again, probe(rate));
    (again ? low : high) = rate;
  }
  Capacity out;
  std::sort(probes_.begin(), probes_.end(), [](const Probe& a, const Probe& b) { return a.rate < b.rate; });
  for (const Probe& probe : probes_) {
    if (probe.passed && probe.rate <= low) {
      out.rate = probe.rate;
      out.goodput = probe.goodput;
    }
  }
  out.probes = std::move(probes_);
  interval(out);
  return out;
}

// Where the attainment falls below what is asked for, between the rates that were tried.
double Search::crossing(const std::vector<Probe>& probes, std::size_t without) const {
  const Probe* before = nullptr;
  double before_worst = 1;
  for (const Probe& probe : probes) {
    if (!probe.complete) {
      break;
    }
    const double reached = worst_attainment(tenants_, probe.outcomes, without);
    const bool passes = reached >= options_.attainment;
    if (before != nullptr && (!passes || before_worst < options_.attainment) && reached < before_worst) {
      // Without one of the seeds even the lowest rate may fail: then the line is followed a little below it.
      const double part = (before_worst - options_.attainment) / (before_worst - reached);
      return std::max(before->rate / kBracketStep, before->rate + part * (probe.rate - before->rate));
    }
    before = &probe;
    before_worst = reached;
  }
  return before == nullptr ? 0 : before->rate;
}

void Search::interval(Capacity& out) const {
  std::vector<double> without;
  double mean = 0;
  for (int seed = 0; seed < options_.seeds; ++seed) {
    without.push_back(crossing(out.probes, static_cast<std::size_t>(seed)));
    mean += without.back() / options_.seeds;
  }
  double squares = 0;
  for (const double one : without) {
    squares += (one - mean) * (one - mean);
  }
  const int n = options_.seeds;
  const double deviation = n > 1 ? std::sqrt(squares * (n - 1) / n) : 0;
  // No narrower than the grid of rates that were tried.
  const double half = std::max(student(n - 1) * deviation, out.rate * options_.precision / 2);
  out.low = std::max(0.0, out.rate - half);
  out.high = out.rate + half;
}

}  // namespace

Result<Capacity> find_capacity(const std::vector<Tenant>& tenants, const SearchOptions& options, const Trial& trial) {
  bool objective = false;
  for (const Tenant& tenant : tenants) {
    objective = objective || (tenant.slo && tenant.rate > 0);
  }
  if (!objective) {
    return invalid_argument("a search needs a tenant with an objective and a rate; give one slo_ms or slo_factor");
  }
  return Search(tenants, options, trial).run();
}

Ratio ratio(const Capacity& a, const Capacity& b) {
  if (a.rate == 0 || b.rate == 0) {
    return {};
  }
  const double value = a.rate / b.rate;
  const double wide_a = (a.high - a.low) / 2 / a.rate;
  const double wide_b = (b.high - b.low) / 2 / b.rate;
  const double wide = std::sqrt(wide_a * wide_a + wide_b * wide_b);
  return {value, value * (1 - wide), value * (1 + wide)};
}

}  // namespace tessera::loadgen
