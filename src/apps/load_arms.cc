#include "apps/load_arms.h"

#include <cstdio>
#include <optional>

#include "apps/load_trial.h"
#include "apps/workload_files.h"
#include "loadgen/load_report.h"

namespace tessera::apps {
namespace {

constexpr std::uint64_t kSettlingSeed = 1'000'000;  // arrivals that no counted run has

}  // namespace

Result<ProvedArms> prove_arms(const LoadOptions& options, const LoadPlan& plan, HereTarget& target) {
  TESSERA_ASSIGN_OR_RETURN(const auto shares, plan.tenants(1.0));
  loadgen::ProbeOptions how;
  how.seeds = options.seeds;
  how.least_requests = options.least_requests;
  std::optional<std::size_t> present;
  const auto take_turn = [&](std::size_t arm) -> Status {
    if (present == arm) {
      return ok_status();
    }
    present = arm;
    return target.change_policy(options.arms[arm].name, shares);
  };
  ProvedArms out;
  {
    TrialRunner settling(options, plan, target);  // whether it keeps its schedule does not matter
    const std::vector<std::uint64_t> any(shares.size(), ~std::uint64_t{0});
    for (std::size_t arm = 0; arm < options.arms.size() && options.settle_seconds > 0; ++arm) {
      TESSERA_RETURN_IF_ERROR(take_turn(arm));
      const auto ran = settling.run(loadgen::kArmBelow * options.arms[arm].said, kSettlingSeed,
                                    seconds(options.settle_seconds), any, options.arms[arm].policy());
      TESSERA_RETURN_IF_ERROR(ran.ok() ? ok_status() : Status(ran.error()));
      out.settled.push_back(settling.began());
    }
    if (options.service.record_sample) {
      target.end_recording();  // what is compared is not recorded
    }
  }
  TrialRunner runner(options, plan, target);
  const auto trial = [&](std::size_t arm, double rate, std::uint64_t seed, Duration length,
                         const std::vector<std::uint64_t>& most_misses) -> Result<loadgen::Outcome> {
    TESSERA_RETURN_IF_ERROR(take_turn(arm));
    return runner.run(rate, seed, length, most_misses, options.arms[arm].policy());
  };
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
