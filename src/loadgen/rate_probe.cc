#include "loadgen/rate_probe.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace tessera::loadgen {
namespace {

// Further misses cannot turn a rate with this many times the allowed ones into one that passes.
constexpr double kHopeless = 2.0;
constexpr std::uint64_t kHopelessAtLeast = 30;

}  // namespace

Duration run_length(const std::vector<Tenant>& tenants, const ProbeOptions& options, double rate) {
  double slowest = 0;
  for (const Tenant& tenant : tenants) {
    if (tenant.slo && tenant.rate > 0 && (slowest == 0 || tenant.rate < slowest)) {
      slowest = tenant.rate;
    }
  }
  // A little more than it takes, as arrivals are random.
  const double seconds = 1.05 * static_cast<double>(options.least_requests) / (slowest * rate) / options.seeds;
  return std::min(Duration(std::llround(seconds * 1e9)), options.most_length);
}

Tally pooled(const std::vector<Outcome>& outcomes, std::size_t tenant, std::optional<std::size_t> without) {
  Tally sum;
  for (std::size_t seed = 0; seed < outcomes.size(); ++seed) {
    if (seed != without) {
      sum.merge(outcomes[seed].tenants[tenant].tally);
    }
  }
  return sum;
}

double worst_attainment(const std::vector<Tenant>& tenants, const std::vector<Outcome>& outcomes,
                        std::optional<std::size_t> without) {
  double least = 1;
  for (std::size_t tenant = 0; tenant < tenants.size(); ++tenant) {
    if (tenants[tenant].slo) {
      least = std::min(least, pooled(outcomes, tenant, without).attainment());
    }
  }
  return least;
}

RateProbe::RateProbe(const std::vector<Tenant>& tenants, const ProbeOptions& options, double rate,
                     std::uint64_t first_seed)
    : tenants_(tenants), options_(options), first_seed_(first_seed), length_(run_length(tenants, options, rate)) {
  probe_.rate = rate;
  const double seconds = std::chrono::duration<double>(length_).count();
  for (const Tenant& tenant : tenants) {
    const double allowed = (1 - options.attainment) * tenant.rate * rate * seconds * options.seeds;
    left_.push_back(tenant.slo ? kHopelessAtLeast + static_cast<std::uint64_t>(kHopeless * allowed)
                               : ~std::uint64_t{0});
  }
}

Status RateProbe::run_next(const Trial& trial) {
  TESSERA_CHECK(!settled());
  const std::uint64_t seed = first_seed_ + probe_.outcomes.size();
  TESSERA_ASSIGN_OR_RETURN(Outcome outcome, trial(probe_.rate, seed, length_, left_));
  hopeless_ = outcome.gave_up;
  for (std::size_t i = 0; i < left_.size() && !hopeless_; ++i) {
    const Tally& tally = outcome.tenants[i].tally;
    left_[i] -= std::min(left_[i], tally.offered_count() - tally.met_count());
  }
  probe_.outcomes.push_back(std::move(outcome));
  return ok_status();
}

Probe RateProbe::probe() && {
  probe_.complete = !hopeless_;
  probe_.worst = worst_attainment(tenants_, probe_.outcomes);
  probe_.passed = probe_.complete && probe_.worst >= options_.attainment;
  for (const Outcome& outcome : probe_.outcomes) {
    probe_.goodput += outcome.goodput() / static_cast<double>(probe_.outcomes.size());
  }
  return std::move(probe_);
}

}  // namespace tessera::loadgen
