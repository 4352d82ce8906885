#include "loadgen/arms.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace tessera::loadgen {
namespace {

class Proving {
 public:
  Proving(const std::vector<Tenant>& tenants, const ProbeOptions& options, const std::vector<Arm>& arms,
          const ArmTrial& trial, const ArmTold& told)
      : tenants_(tenants), options_(options), trial_(trial), told_(told) {
    for (const Arm& arm : arms) {
      proofs_.push_back({arm, ArmVerdict::kAsSaid, 0, {}});
    }
  }

  Result<std::vector<ArmProof>> run() {
    TESSERA_RETURN_IF_ERROR(both_in_turns());
    for (std::size_t i = 0; i < proofs_.size(); ++i) {
      TESSERA_RETURN_IF_ERROR(settle(i));
    }
    return std::move(proofs_);
  }

 private:
  Status step(RateProbe& probe, std::size_t arm) {
    return probe.run_next(
        [&](double rate, std::uint64_t seed, Duration length, const std::vector<std::uint64_t>& most) {
          return trial_(arm, rate, seed, length, most);
        });
  }

  Status both_in_turns() {
    std::vector<RateProbe> probes;
    std::vector<std::optional<Probe>> settled(2 * proofs_.size());
    for (const ArmProof& proof : proofs_) {
      probes.emplace_back(tenants_, options_, kArmBelow * proof.arm.said);
      probes.emplace_back(tenants_, options_, kArmAbove * proof.arm.said);
    }
    for (int seed = 0; seed < options_.seeds; ++seed) {
      for (std::size_t i = 0; i < probes.size(); ++i) {
        if (settled[i]) {
          continue;
        }
        TESSERA_RETURN_IF_ERROR(step(probes[i], i / 2));
        if (probes[i].settled()) {
          settled[i] = std::move(probes[i]).probe();
          tell(i / 2, *settled[i]);
        }
      }
    }
    for (std::size_t i = 0; i < probes.size(); ++i) {
      keep(i / 2, *std::move(settled[i]));
    }
    return ok_status();
  }

  void tell(std::size_t arm, const Probe& probe) const {
    if (told_) {
      told_(proofs_[arm].arm, probe);
    }
  }

  Status settle(std::size_t arm) {
    const bool below = proofs_[arm].probes[0].passed;
    const bool above = proofs_[arm].probes[1].passed;
    if (below && !above) {
      return ok_status();
    }
    double part = below ? kArmAbove * kArmStep : kArmAgain;
    bool passed = below;
    for (int steps = 0; steps < kMostArmSteps && passed == below; ++steps) {
      // Seeds that no probe of this arm has had.
      RateProbe probe(tenants_, options_, part * proofs_[arm].arm.said,
                      static_cast<std::uint64_t>(options_.seeds) * static_cast<std::uint64_t>(1 + steps));
      while (!probe.settled()) {
        TESSERA_RETURN_IF_ERROR(step(probe, arm));
      }
      Probe settled = std::move(probe).probe();
      tell(arm, settled);
      passed = keep(arm, std::move(settled));
      part = below ? part * kArmStep : part / kArmStepDown;
      if (!below && steps == 0) {
        proofs_[arm].verdict = passed ? ArmVerdict::kWithARepeat : ArmVerdict::kLess;
      }
    }
    if (below) {
      proofs_[arm].verdict = ArmVerdict::kMore;
    }
    return ok_status();
  }

  bool keep(std::size_t arm, Probe probe) {
    ArmProof& proof = proofs_[arm];
    // A rate that passes above one that failed is luck.
    if (probe.passed && (proof.probes.empty() || proof.probes[0].passed || proof.probes.size() > 1)) {
      proof.carried = std::max(proof.carried, probe.rate);
    }
    proof.probes.push_back(std::move(probe));
    return proof.probes.back().passed;
  }

  const std::vector<Tenant>& tenants_;
  const ProbeOptions& options_;
  const ArmTrial& trial_;
  const ArmTold& told_;
  std::vector<ArmProof> proofs_;
};

}  // namespace

Result<std::vector<ArmProof>> prove(const std::vector<Tenant>& tenants, const ProbeOptions& options,
                                    const std::vector<Arm>& arms, const ArmTrial& trial, const ArmTold& told) {
  const bool objective =
      std::any_of(tenants.begin(), tenants.end(), [](const Tenant& tenant) { return tenant.slo && tenant.rate > 0; });
  if (!objective) {
    return invalid_argument("arms need a tenant with an objective and a rate; give one slo_ms or slo_factor");
  }
  return Proving(tenants, options, arms, trial, told).run();
}

Result<Arm> parse_arm(const std::string& text) {
  const std::size_t at = text.rfind('=');
  const std::string number = at == std::string::npos ? std::string() : text.substr(at + 1);
  double rate = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), rate);
  if (at == 0 || error != std::errc() || end != number.data() + number.size() || !(rate > 0 && rate <= 1e8)) {
    return invalid_argument("an arm is POLICY=RATE, such as temporal=5000, and not '" + text + "'");
  }
  return Arm{text.substr(0, at), rate};
}

std::string to_string(ArmVerdict verdict) {
  switch (verdict) {
    case ArmVerdict::kAsSaid:
      return "as said";
    case ArmVerdict::kWithARepeat:
      return "as said, with a repeat";
    case ArmVerdict::kMore:
      return "more than said";
    case ArmVerdict::kLess:
      return "less than said";
  }
  return {};
}

}  // namespace tessera::loadgen
