#include "apps/load_arms.h"

#include <cstdio>
#include <optional>

#include "apps/load_trial.h"
#include "apps/workload_files.h"
#include "loadgen/load_report.h"

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
  const std::vector<std::uint64_t> any(shares.size(), ~std::uint64_t{0});
  for (std::size_t arm = 0; arm < options.arms.size() && options.settle_seconds > 0; ++arm) {
    const auto settled =
        trial(arm, loadgen::kArmBelow * options.arms[arm].said, 0, seconds(options.settle_seconds), any);
    TESSERA_RETURN_IF_ERROR(settled.ok() ? ok_status() : Status(settled.error()));
  }
  ProvedArms out;
  const auto told = [&runner](const loadgen::Arm& arm, const loadgen::Probe& probe) {
    runner.clear_progress();
    std::fputs(loadgen::line(arm, probe).c_str(), stdout);
    std::fflush(stdout);
  };
  TESSERA_ASSIGN_OR_RETURN(out.proofs, loadgen::prove(shares, how, options.arms, trial, told));
  out.invalid = runner.invalid();
  return out;
}

}  // namespace tessera::apps
