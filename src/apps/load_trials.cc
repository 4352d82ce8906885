#include "apps/load_trials.h"

#include <istream>
#include <ostream>
#include <sstream>
#include <utility>

#include "apps/load_trial.h"
#include "apps/workload_files.h"
#include "loadgen/generator.h"
#include "loadgen/load_report.h"
#include "loadgen/text.h"
#include "sched/policy.h"

namespace tessera::apps {
namespace {

Result<std::string> latencies_alone(const LoadPlan& plan, loadgen::Target& target, std::int32_t rows) {
  std::string out;
  for (std::size_t i = 0; i < plan.workload.tenants.size(); ++i) {
    TESSERA_RETURN_IF_ERROR(target.prepare(i, rows));
    TESSERA_ASSIGN_OR_RETURN(const Duration alone, loadgen::latency_alone(target, i, rows));
    out += (i == 0 ? "" : ", ") + loadgen::quoted(plan.workload.tenants[i].name) + ": " +
           loadgen::digits(static_cast<double>(alone.count()) / 1e6);
  }
  return "{\"alone_rows\": " + std::to_string(rows) + ", \"ms\": {" + out + "}}";
}

}  // namespace

Result<TrialAsked> parse_trial(const std::string& line) {
  constexpr double kMostRate = 1e8;
  constexpr double kLeastSeconds = 0.1;
  constexpr double kMostSeconds = 1e6;
  TrialAsked out;
  std::istringstream words(line);
  std::string more;
  constexpr std::int32_t kMostRows = 1024;
  const bool alone = line.rfind("alone ", 0) == 0;
  if (alone) {
    words >> more >> out.alone;
    more.clear();
  } else {
    words >> out.rate >> out.seconds >> out.seed;
  }
  const bool numbers = !words.fail();
  words >> out.policy >> more;
  const bool in_range =
      alone ? out.alone >= 1 && out.alone <= kMostRows
            : out.rate > 0 && out.rate <= kMostRate && out.seconds >= kLeastSeconds && out.seconds <= kMostSeconds;
  if (!numbers || !more.empty() || !in_range) {
    return invalid_argument(
        "a trial is RATE SECONDS SEED [POLICY], such as 500 10 1, or alone ROWS [POLICY], and not '" + line + "'");
  }
  if (!out.policy.empty()) {
    TESSERA_RETURN_IF_ERROR(sched::make_policy(out.policy));
  }
  return out;
}

Status run_trials(const LoadOptions& options, const LoadPlan& plan, loadgen::Target& target, HereTarget* here,
                  std::istream& in, std::ostream& out) {
  TESSERA_ASSIGN_OR_RETURN(const auto shares, plan.tenants(1.0));
  loadgen::Generator generator(target);
  std::string present = options.service.policy;
  out << "ready" << std::endl;
  for (std::string line; std::getline(in, line);) {
    TESSERA_ASSIGN_OR_RETURN(const TrialAsked asked, parse_trial(line));
    if (!asked.policy.empty() && asked.policy != present) {
      if (here == nullptr) {
        return invalid_argument("a trial's policy needs a server in this process (--model-repository)");
      }
      TESSERA_RETURN_IF_ERROR(here->change_policy(asked.policy, shares));
      present = asked.policy;
    }
    if (asked.alone > 0) {
      TESSERA_ASSIGN_OR_RETURN(const std::string alone, latencies_alone(plan, target, asked.alone));
      out << alone << std::endl;
      continue;
    }
    TESSERA_ASSIGN_OR_RETURN(const auto tenants, plan.tenants(asked.rate));
    loadgen::LoadOptions run;
    run.seed = asked.seed;
    run.warm_up = seconds(options.warm_seconds);
    run.length = seconds(asked.seconds);
    run.most_in_flight = options.in_flight;
    const loadgen::LoadOutcome outcome = generator.run(tenants, run);
    generator.let_end(kBetweenTrials);
    out << loadgen::trial_json(tenants, asked.rate, outcome, outcome.invalid) << std::endl;
  }
  return ok_status();
}

}  // namespace tessera::apps
