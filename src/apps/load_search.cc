#include "apps/load_search.h"

#include <utility>

#include "apps/progress.h"
#include "apps/workload_files.h"
#include "loadgen/generator.h"
#include "loadgen/text.h"

namespace tessera::apps {
namespace {

// For what a trial left on its way.
constexpr Duration kBetween = std::chrono::seconds(30);

}  // namespace

Result<FoundCapacity> search_capacity(const LoadOptions& options, const LoadPlan& plan, loadgen::Target& target) {
  TESSERA_ASSIGN_OR_RETURN(const auto shares, plan.tenants(1.0));
  loadgen::SearchOptions how;
  how.seeds = options.seeds;
  how.least_requests = options.least_requests;
  how.precision = options.precision;
  how.start = options.rate ? *options.rate : plan.careful_rate(shares);
  FoundCapacity out;
  Progress progress;
  loadgen::Generator generator(target);
  const auto trial = [&](double rate, std::uint64_t seed, Duration length,
                         const std::vector<std::uint64_t>& most_misses) -> Result<loadgen::Outcome> {
    TESSERA_ASSIGN_OR_RETURN(const auto tenants, plan.tenants(rate));
    loadgen::LoadOptions run;
    run.seed = options.seed + seed;
    run.warm_up = seconds(options.warm_seconds);
    run.length = length;
    run.most_in_flight = options.in_flight;
    run.most_misses = most_misses;
    progress.say("trying " + loadgen::digits(rate) + " a second for " +
                 loadgen::digits(std::chrono::duration<double>(length).count()) + " s, seed " +
                 std::to_string(seed + 1) + " of " + std::to_string(options.seeds));
    loadgen::LoadOutcome outcome = generator.run(tenants, run);
    generator.let_end(kBetween);
    if (!outcome.invalid.empty()) {
      outcome = generator.run(tenants, run);
      generator.let_end(kBetween);
    }
    if (!outcome.invalid.empty() && out.invalid.empty()) {
      out.invalid = "at " + loadgen::digits(rate) + " a second " + outcome.invalid;
    }
    loadgen::Outcome& counted = outcome;
    return std::move(counted);
  };
  TESSERA_ASSIGN_OR_RETURN(out.capacity, loadgen::find_capacity(shares, how, trial));
  return out;
}

}  // namespace tessera::apps
