#include "loadgen/search.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace tessera::loadgen {
namespace {

constexpr double kBracketStep = 1.25;
constexpr double kNear = 1.15;  // from the capacity: there attainment falls with the rate about in a line
constexpr int kMostProbes = 40;
constexpr double kLeastWide = 0.007;  // of a ratio: each of the two is known to half a step of the search, 1 %

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
  std::vector<double> crossings(const Capacity& found) const;
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

// Half of a 95 % interval of the mean of what was found, without each of the seeds, by the jackknife.
double half_of_interval(const std::vector<double>& without) {
  const auto n = static_cast<double>(without.size());
  const double mean = std::accumulate(without.begin(), without.end(), 0.0) / n;
  double squares = 0;
  for (const double one : without) {
    squares += (one - mean) * (one - mean);
  }
  return n > 1 ? student(static_cast<int>(n) - 1) * std::sqrt(squares * (n - 1) / n) : 0;
}

// Where the attainment falls below what is asked for without each of the seeds, by the line through the rates near the
// capacity. Its slope is that of all seeds: between two rates that hardly differ, what one seed less changes is luck.
std::vector<double> Search::crossings(const Capacity& found) const {
  std::vector<const Probe*> near;
  double most = found.rate * kBracketStep;  // who was cut off there fails by more than one seed
  for (const Probe& probe : found.probes) {
    const bool is_near = probe.rate * kNear >= found.rate && probe.rate <= found.rate * kNear;
    if (probe.complete && is_near) {
      near.push_back(&probe);
    } else if (!probe.complete && probe.rate > found.rate) {
      most = std::min(most, probe.rate);
    }
  }
  const auto n = static_cast<double>(near.size());
  double rate = 0;
  double worst = 0;
  for (const Probe* probe : near) {
    rate += probe->rate / n;
    worst += probe->worst / n;
  }
  double along = 0;
  double squares = 0;
  for (const Probe* probe : near) {
    along += (probe->rate - rate) * (probe->worst - worst);
    squares += (probe->rate - rate) * (probe->rate - rate);
  }
  std::vector<double> out(static_cast<std::size_t>(options_.seeds), found.rate);
  if (along >= 0) {  // one rate, or all of them the same
    return out;
  }
  for (std::size_t seed = 0; seed < out.size(); ++seed) {
    double without = 0;
    for (const Probe* probe : near) {
      without += worst_attainment(tenants_, probe->outcomes, seed) / n;
    }
    const double crossing = rate + (options_.attainment - without) * squares / along;
    out[seed] = std::clamp(crossing, std::min(found.rate / kBracketStep, most), most);
  }
  return out;
}

void Search::interval(Capacity& out) const {
  out.without = crossings(out);
  // No narrower than the grid of rates that were tried.
  const double half = std::max(half_of_interval(out.without), out.rate * options_.precision / 2);
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
  const auto grid = [](const Capacity& one) { return (one.high - one.low) / 2 / one.rate; };
  if (a.without.size() != b.without.size() || a.without.size() < 2) {
    const double wide = std::hypot(grid(a), grid(b));
    return {value, value * (1 - wide), value * (1 + wide)};
  }
  std::vector<double> logs;
  for (std::size_t seed = 0; seed < a.without.size(); ++seed) {
    logs.push_back(std::log(a.without[seed] / b.without[seed]));
  }
  const double wide = std::max(half_of_interval(logs), kLeastWide);
  return {value, value * std::exp(-wide), value * std::exp(wide)};
}

}  // namespace tessera::loadgen
