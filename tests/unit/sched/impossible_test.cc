// Objectives that are shorter than any run of their model that was measured.
#include <gtest/gtest.h>

#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

using sched::Profile;
using sched::RejectReason;
using sched::SloPolicy;

TEST(Profile, TheFastestRunIsKnownOnceTheLargestSliceWasMeasured) {
  EXPECT_EQ(Profile().fastest(1), std::nullopt);
  Profile profile({{1, 2, 8ms}, {8, 2, 20ms}});
  EXPECT_EQ(profile.fastest(2), Duration(8ms));
  EXPECT_EQ(profile.fastest(16), std::nullopt) << "a larger slice may be faster";
  profile.add({1, 16, 9ms});
  EXPECT_EQ(profile.fastest(16), Duration(8ms)) << "in whatever slice";
}

TEST(Profile, ASliceThatWasSeenOftenIsAsGoodAsAMeasuredOne) {
  Profile profile({{1, 2, 8ms}});
  for (int run = 0; run < 7; ++run) {
    profile.observe(1, 16, 2ms);
  }
  EXPECT_EQ(profile.fastest(16), std::nullopt) << "one run may be anything";
  profile.observe(1, 16, 2ms);
  ASSERT_TRUE(profile.fastest(16).has_value());
  EXPECT_NEAR(static_cast<double>(profile.fastest(16)->count()), 2e6, 1e5);
}

class ImpossibleObjective : public ::testing::TestWithParam<const char*> {
 protected:
  static sched::ModelParams params(SloPolicy policy) {
    auto out = model("m");
    out.slo = 5ms;
    out.slo_policy = policy;
    return out;
  }
  World w_{device_of(4), GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Sched, ImpossibleObjective,
                         ::testing::Values("tessera", "temporal", "streams", "fixed", "gslice", "dstack"));

TEST_P(ImpossibleObjective, UnderRejectItsRequestsAreRejectedAsTheyCome) {
  const InstanceId m = w_.add_model(params(SloPolicy::kReject), Truth{.fixed = 10ms});
  const InstanceId other = w_.add_model(model("other"), Truth{});
  EXPECT_GE(w_.scheduler().fastest_measured(m), Duration(10ms));
  for (const Duration time : {1s, 2s, 10s}) {
    w_.run_until(at(time));
    const RequestId r = w_.request(m);
    EXPECT_EQ(w_.fate(r).rejected, at(time));
    EXPECT_EQ(w_.fate(r).reason, RejectReason::kDeadline);
  }
  EXPECT_TRUE(w_.launches().empty());
  const RequestId served = w_.request(other);
  w_.run_to_rest();
  EXPECT_TRUE(w_.fate(served).ended);
  w_.expect_all_ended();
}

TEST_P(ImpossibleObjective, OneInTenSecondsIsTriedAndFindsOutThatItHasBecomePossible) {
  const InstanceId m = w_.add_model(params(SloPolicy::kReject), Truth{.fixed = 10ms});
  const auto ask_for = [&](Duration span) {
    const std::size_t before = w_.launches().size();
    for (const TimePoint end = w_.now() + span; w_.now() < end;) {
      w_.request(m);
      w_.run_until(w_.now() + 100ms);
    }
    return w_.launches().size() - before;
  };
  EXPECT_EQ(ask_for(35s), 3U);
  w_.truth(m).fixed = 2ms;
  EXPECT_GE(ask_for(30s), 20U) << "how soon a policy believes it of all its slices is its own affair";
  EXPECT_LT(w_.scheduler().fastest_measured(m), Duration(5ms));
}

TEST_P(ImpossibleObjective, UnderBestEffortItsRequestsAreAnswered) {
  const InstanceId m = w_.add_model(params(SloPolicy::kBestEffort), Truth{.fixed = 10ms});
  for (int i = 0; i < 20; ++i) {
    w_.request(m);
    w_.run_until(w_.now() + 1ms);
  }
  w_.run_to_rest();
  EXPECT_EQ(w_.score(m, at(0s), at(1s)).rejected, 0U);
  w_.expect_all_ended();
}

TEST_P(ImpossibleObjective, AnotherObjectiveIsHeldAgainstTheSameRuns) {
  const InstanceId m = w_.add_model(params(SloPolicy::kReject), Truth{.fixed = 10ms});
  EXPECT_TRUE(w_.fate(w_.request(m)).rejected);
  w_.send(sched::ParamsChanged{m, {.slo = 60ms}});
  const RequestId r = w_.request(m);
  w_.run_to_rest();
  EXPECT_TRUE(w_.fate(r).ended);
  w_.send(sched::ParamsChanged{m, {.slo = 5ms}});
  EXPECT_TRUE(w_.fate(w_.request(m)).rejected);
}

TEST_P(ImpossibleObjective, WhatHasNotBeenMeasuredIsNoReason) {
  const InstanceId m = w_.add_model(params(SloPolicy::kReject), Truth{.fixed = 10ms}, false);
  EXPECT_EQ(w_.scheduler().fastest_measured(m), Duration{0});
  const RequestId r = w_.request(m);
  w_.run_to_rest();
  EXPECT_TRUE(w_.fate(r).ended) << "late, as nothing was known";
}

}  // namespace
}  // namespace tessera::testing
