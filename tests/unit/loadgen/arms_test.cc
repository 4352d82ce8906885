// Arms against servers whose capacity is known: what passes below it and fails above it is found, and said as it is.
#include "loadgen/arms.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>

namespace tessera::loadgen {
namespace {

using namespace std::chrono_literals;

// Two tenants, of which the second has no objective. An arm attains 0.995 up to its capacity, 0.9 beyond.
class Arms : public testing::Test {
 protected:
  Arms() {
    tenants_.resize(2);
    tenants_[0].rate = 0.75;
    tenants_[0].slo = 10ms;
    tenants_[1].rate = 0.25;
    options_.seeds = 3;
    options_.least_requests = 3000;
  }

  Result<std::vector<ArmProof>> prove_all(const std::vector<Arm>& arms) {
    return prove(tenants_, options_, arms,
                 [this](std::size_t arm, double rate, std::uint64_t seed, Duration length,
                        const std::vector<std::uint64_t>&) -> Result<Outcome> {
                   order_.push_back(arm);
                   seeds_[{arm, rate}].push_back(seed);
                   return outcome(rate, length, rate <= capacity_[arm] && fails_once_.count({arm, seed}) == 0);
                 });
  }

  static Outcome outcome(double rate, Duration length, bool good) {
    Outcome out;
    out.seconds = std::chrono::duration<double>(length).count();
    out.tenants.resize(2);
    out.tenants[0].slo = 10ms;
    const int count = static_cast<int>(0.75 * rate * out.seconds);
    for (int i = 0; i < count; ++i) {
      out.tenants[0].tally.offered();
      out.tenants[0].tally.answered(i % (good ? 200 : 10) == 0 ? 20ms : 5ms, 10ms);
    }
    return out;
  }

  std::vector<Tenant> tenants_;
  ProbeOptions options_;
  std::vector<double> capacity_;
  std::set<std::pair<std::size_t, std::uint64_t>> fails_once_;
  std::vector<std::size_t> order_;
  std::map<std::pair<std::size_t, double>, std::vector<std::uint64_t>> seeds_;
};

TEST_F(Arms, WhatCarriesWhatIsSaidPassesBelowAndFailsAboveInTurns) {
  capacity_ = {1000, 500};
  const auto proofs = prove_all({{"a", 1000}, {"b", 500}});
  ASSERT_TRUE(proofs.ok());
  for (const ArmProof& proof : *proofs) {
    EXPECT_EQ(proof.verdict, ArmVerdict::kAsSaid);
    EXPECT_DOUBLE_EQ(proof.carried, 0.97 * proof.arm.said);
    ASSERT_EQ(proof.probes.size(), 2U);
    EXPECT_TRUE(proof.probes[0].passed);
    EXPECT_FALSE(proof.probes[1].passed);
    EXPECT_NEAR(proof.probes[0].worst, 0.995, 0.001);
  }
  const std::vector<std::size_t> in_turns{0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1};
  EXPECT_EQ(order_, in_turns);
}

TEST_F(Arms, WhatCarriesMoreIsRaisedUntilItFails) {
  capacity_ = {1080};
  const auto proofs = prove_all({{"a", 1000}});
  ASSERT_TRUE(proofs.ok());
  const ArmProof& proof = proofs->front();
  EXPECT_EQ(proof.verdict, ArmVerdict::kMore);
  ASSERT_EQ(proof.probes.size(), 4U);
  EXPECT_NEAR(proof.carried, 1060.9, 0.1);
  EXPECT_FALSE(proof.probes.back().passed);
}

TEST_F(Arms, AFailureBelowIsRepeatedOnceWithFreshSeeds) {
  capacity_ = {1000};
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    fails_once_.insert({0, seed});
  }
  const auto proofs = prove_all({{"a", 1000}});
  ASSERT_TRUE(proofs.ok());
  const ArmProof& proof = proofs->front();
  EXPECT_EQ(proof.verdict, ArmVerdict::kWithARepeat);
  EXPECT_DOUBLE_EQ(proof.carried, 950);
  EXPECT_EQ((seeds_[{0, 950.0}]), (std::vector<std::uint64_t>{3, 4, 5}));
}

TEST_F(Arms, WhatCarriesLessIsLoweredUntilItPasses) {
  capacity_ = {900};
  const auto proofs = prove_all({{"a", 1000}});
  ASSERT_TRUE(proofs.ok());
  const ArmProof& proof = proofs->front();
  EXPECT_EQ(proof.verdict, ArmVerdict::kLess);
  EXPECT_NEAR(proof.carried, 950 / 1.06, 0.1);
}

TEST_F(Arms, APassAboveAFailureIsLuck) {
  const auto proofs =
      prove(tenants_, options_, {{"a", 1000}},
            [](std::size_t, double rate, std::uint64_t, Duration length,
               const std::vector<std::uint64_t>&) -> Result<Outcome> { return outcome(rate, length, rate > 1000); });
  ASSERT_TRUE(proofs.ok());
  EXPECT_EQ(proofs->front().verdict, ArmVerdict::kLess);
  EXPECT_EQ(proofs->front().carried, 0);
}

TEST_F(Arms, WithoutAnObjectiveThereIsNothingToProve) {
  tenants_[0].slo.reset();
  EXPECT_FALSE(prove_all({{"a", 1000}}).ok());
}

TEST(ParseArm, IsAPolicyAndARate) {
  const auto arm = parse_arm("fixed:share.a=0.25,share.b=0.5=1234.5");
  ASSERT_TRUE(arm.ok());
  EXPECT_EQ(arm->name, "fixed:share.a=0.25,share.b=0.5");
  EXPECT_EQ(arm->said, 1234.5);
  for (const char* wrong :
       {"", "tessera", "=5", "tessera=", "tessera=x", "tessera=0", "tessera=-1", "tessera=1e9", "tessera=5 "}) {
    EXPECT_FALSE(parse_arm(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace tessera::loadgen
