#include "apps/load_trial.h"

#include <utility>

#include "apps/workload_files.h"
#include "loadgen/text.h"

namespace tessera::apps {
Result<loadgen::Outcome> TrialRunner::run(double rate, std::uint64_t seed, Duration length,
                                          const std::vector<std::uint64_t>& most_misses, const std::string& who) {
  TESSERA_ASSIGN_OR_RETURN(const auto tenants, plan_.tenants(rate));
  loadgen::LoadOptions run;
  run.seed = options_.seed + seed;
  run.warm_up = seconds(options_.warm_seconds);
  run.length = length;
  run.most_in_flight = options_.in_flight;
  run.most_misses = most_misses;
  progress_.say((who.empty() ? "" : who + ": ") + "trying " + loadgen::digits(rate) + " a second for " +
                loadgen::digits(std::chrono::duration<double>(length).count()) + " s, seed " +
                std::to_string(seed % static_cast<std::uint64_t>(options_.seeds) + 1) + " of " +
                std::to_string(options_.seeds));
  loadgen::LoadOutcome outcome = generator_.run(tenants, run);
  generator_.let_end(kBetweenTrials);
  if (!outcome.invalid.empty()) {
    outcome = generator_.run(tenants, run);
    generator_.let_end(kBetweenTrials);
  }
  if (!outcome.invalid.empty() && invalid_.empty()) {
    invalid_ = "at " + loadgen::digits(rate) + " a second " + outcome.invalid;
  }
  began_ = outcome.began;
  loadgen::Outcome& counted = outcome;
  return std::move(counted);
}

}  // namespace tessera::apps
