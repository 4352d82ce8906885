// Arms of one comparison, each proved around the rate that it is said to carry: a little below that every tenant has to
// attain its objective, a little above that one has to miss it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "loadgen/rate_probe.h"
#include "loadgen/workload.h"

namespace tessera::loadgen {

// Value.
struct Arm {
  std::string name;  // a policy with its options
  double said = 0;   // total rate

  std::string policy() const { return name.substr(0, name.find(':')); }
};

// Parts of what was said.
inline constexpr double kArmBelow = 0.97;
inline constexpr double kArmAbove = 1.03;
inline constexpr double kArmAgain = 0.95;     // with fresh seeds, where it failed below
inline constexpr double kArmStep = 1.03;      // from above up, until it fails
inline constexpr double kArmStepDown = 1.06;  // and from the repeat down, until it passes
inline constexpr int kMostArmSteps = 8;       // then the last rate that passed is what is known

enum class ArmVerdict {
  kAsSaid,       // passed below, failed above
  kWithARepeat,  // failed below once, passed again
  kMore,         // passed above
  kLess,         // failed below, and again
};

// Value.
struct ArmProof {
  Arm arm;
  ArmVerdict verdict = ArmVerdict::kAsSaid;
  double carried = 0;         // the highest rate that passed; 0: none did
  std::vector<Probe> probes;  // as they were run
};

// As a Trial, of one of the arms.
using ArmTrial = std::function<Result<Outcome>(std::size_t arm, double rate, std::uint64_t seed, Duration length,
                                               const std::vector<std::uint64_t>& most_misses)>;

// Hears of each rate as soon as it is settled.
using ArmTold = std::function<void(const Arm& arm, const Probe& probe)>;

// All arms below and above in turns, seed by seed, so that none has a better hour than the others; then those that need
// more. `tenants` as find_capacity() has them.
Result<std::vector<ArmProof>> prove(const std::vector<Tenant>& tenants, const ProbeOptions& options,
                                    const std::vector<Arm>& arms, const ArmTrial& trial, const ArmTold& told = {});

// "POLICY=RATE", the policy with its options. Error: what is wrong with it.
Result<Arm> parse_arm(const std::string& text);

std::string to_string(ArmVerdict verdict);

}  // namespace tessera::loadgen
