#include "apps/load_arms.h"

#include <optional>

#include "apps/load_trial.h"

namespace tessera::apps {

Result<ProvedArms> prove_arms(const LoadOptions& options, const LoadPlan& plan, HereTarget& target) {
  TESSERA_ASSIGN_OR_RETURN(const auto shares, plan.tenants(1.0));
  loadgen::ProbeOptions how;
  how.seeds = options.seeds;
  how.least_requests = options.least_requests;
  TrialRunner runner(options, plan, target);
  std::optional<std::size_t> present;
  const auto trial = [&](std::size_t arm, double rate, std::uint64_t seed, Duration length,
                         const std::vector<std::uint64_t>& most_misses) -> Result<loadgen::Outcome> {
    const std::string& policy = options.arms[arm].name;
    if (present != arm) {  // nothing is on its way between two runs
      TESSERA_RETURN_IF_ERROR(target.change_policy(policy));
      TESSERA_RETURN_IF_ERROR(target.set_terms(shares));
      present = arm;
    }
    return runner.run(rate, seed, length, most_misses, policy.substr(0, policy.find(':')));
  };
  ProvedArms out;
  TESSERA_ASSIGN_OR_RETURN(out.proofs, loadgen::prove(shares, how, options.arms, trial));
  out.invalid = runner.invalid();
  return out;
}

}  // namespace tessera::apps
