// Policies compared on one server in this process: models are loaded once, and the policy changes between runs.
#pragma once

#include <string>
#include <vector>

#include "apps/load.h"
#include "apps/load_here.h"
#include "apps/load_tenants.h"
#include "base/result.h"
#include "base/time.h"
#include "loadgen/arms.h"

namespace tessera::apps {

struct ProvedArms {
  std::vector<loadgen::ArmProof> proofs;
  std::string invalid;             // as of FoundCapacity
  std::vector<TimePoint> settled;  // by arm: when it began to settle; empty where none did
};

// options.arms, with policies as `--policy` has them.
Result<ProvedArms> prove_arms(const LoadOptions& options, const LoadPlan& plan, HereTarget& target);

}  // namespace tessera::apps
