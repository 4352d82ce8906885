#include "apps/load_search.h"

#include "apps/load_trial.h"

namespace tessera::apps {

Result<FoundCapacity> search_capacity(const LoadOptions& options, const LoadPlan& plan, loadgen::Target& target) {
  TESSERA_ASSIGN_OR_RETURN(const auto shares, plan.tenants(1.0));
  loadgen::SearchOptions how;
  how.seeds = options.seeds;
  how.least_requests = options.least_requests;
  how.precision = options.precision;
  how.start = options.rate ? *options.rate : plan.careful_rate(shares);
  TrialRunner runner(options, plan, target);
  const auto trial = [&](double rate, std::uint64_t seed, Duration length,
                         const std::vector<std::uint64_t>& most_misses) {
    return runner.run(rate, seed, length, most_misses);
  };
  FoundCapacity out;
  TESSERA_ASSIGN_OR_RETURN(out.capacity, loadgen::find_capacity(shares, how, trial));
  out.invalid = runner.invalid();
  return out;
}

}  // namespace tessera::apps
