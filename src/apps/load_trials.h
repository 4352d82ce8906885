// Runs that another program asks for, one after the other, while the models stay loaded: so that several processes can
// be measured at the same time.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "apps/load.h"
#include "apps/load_here.h"
#include "apps/load_tenants.h"
#include "base/result.h"
#include "loadgen/target.h"

namespace tessera::apps {

// Value.
struct TrialAsked {
  std::int32_t alone = 0;  // instead of all but the policy: the latency of requests with so many rows, one at a time
  double rate = 0;         // total
  double seconds = 0;      // that count
  std::uint64_t seed = 1;
  std::string policy;  // as `--policy` has it; empty: the one that holds
};

// "RATE SECONDS SEED" or "alone ROWS", and "POLICY" behind it where it is to change. Error: what is wrong with it.
Result<TrialAsked> parse_trial(const std::string& line);

// Writes "ready" before the first, and after each its results as one line of JSON (loadgen::trial_json; of latencies
// alone {"alone_rows": ROWS, "ms": {TENANT: MS, ...}}). A run whose
// schedule was not kept says so and is not repeated: whoever runs beside it would not be. Returns when `in` ends.
// Error: a line that is no trial. `here`: the target where it is in this process; without it no policy can be asked
// for.
Status run_trials(const LoadOptions& options, const LoadPlan& plan, loadgen::Target& target, HereTarget* here,
                  std::istream& in, std::ostream& out);

}  // namespace tessera::apps
