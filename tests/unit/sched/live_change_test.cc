// Parameters and the policy change while requests wait and run.
#include <gtest/gtest.h>

#include "tests/support/every_policy.h"
#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

sched::LiveParams with_slo(std::optional<Duration> slo, sched::SloPolicy policy = sched::SloPolicy::kReject) {
  sched::LiveParams params;
  params.slo = slo;
  params.slo_policy = policy;
  return params;
}

class LiveChange : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Sched, LiveChange, ::testing::ValuesIn(every_policy()), policy_as_name);

// One request runs for 40 ms, nine wait behind it in batches of one: the third of them could end in time at 100 ms.
struct Backlog {
  explicit Backlog(const std::string& policy, std::optional<Duration> slo) : world(device_of(1), policy) {
    auto params = model("m", 1);
    params.lanes = 1;
    params.slo = slo;
    id = world.add_model(params, Truth{.per_row = 40ms});
    for (int i = 0; i < 10; ++i) {
      requests.push_back(world.request(id));
    }
    world.run_until(1ms);
  }
  std::size_t rejected() const {
    return static_cast<std::size_t>(std::count_if(requests.begin(), requests.end(), [this](const RequestId request) {
      return world.fate(request).rejected.has_value();
    }));
  }

  World world;
  InstanceId id;
  std::vector<RequestId> requests;
};

TEST_P(LiveChange, AWiderObjectiveSavesWhatWaits) {
  Backlog b(GetParam(), 100ms);
  b.world.send(sched::ParamsChanged{b.id, with_slo(1s)});
  const auto waiting = b.world.scheduler().waiting();
  b.world.run_to_rest();
  b.world.expect_all_ended();
  EXPECT_EQ(waiting, 9U);
  EXPECT_EQ(b.rejected(), 0U);

  Backlog unchanged(GetParam(), 100ms);
  unchanged.world.run_to_rest();
  EXPECT_GE(unchanged.rejected(), 7U);
}

TEST_P(LiveChange, ATighterObjectiveTellsWhatWaitsInTime) {
  Backlog b(GetParam(), 10s);
  b.world.send(sched::ParamsChanged{b.id, with_slo(100ms)});
  EXPECT_EQ(b.world.scheduler().deadline(b.requests[9]), b.rejected() == 0 ? at(100ms) : kNever);
  b.world.run_to_rest();
  b.world.expect_all_ended();
  EXPECT_GE(b.rejected(), 7U);
  for (const RequestId request : b.requests) {
    if (const auto rejected = b.world.fate(request).rejected) {
      EXPECT_LE(*rejected, at(100ms));
    }
  }
}

TEST_P(LiveChange, AnObjectiveThatIsPastEndsTheWaitAtOnceAndNotTheRun) {
  Backlog b(GetParam(), 10s);
  b.world.run_until(20ms);
  b.world.send(sched::ParamsChanged{b.id, with_slo(5ms)});
  EXPECT_EQ(b.rejected(), 9U);
  b.world.run_to_rest();
  b.world.expect_all_ended();
  EXPECT_TRUE(b.world.fate(b.requests[0]).ended.has_value());
}

TEST_P(LiveChange, WithoutAnObjectiveOrWithBestEffortNothingIsRejected) {
  for (const auto& params : {with_slo(std::nullopt), with_slo(100ms, sched::SloPolicy::kBestEffort)}) {
    Backlog b(GetParam(), 100ms);
    b.world.send(sched::ParamsChanged{b.id, params});
    b.world.run_to_rest();
    b.world.expect_all_ended();
    EXPECT_EQ(b.rejected(), 0U);
  }
}

TEST_P(LiveChange, TheRequestsOwnTimeoutStays) {
  Backlog b(GetParam(), 10s);
  auto arrival = b.world.arrival(b.id);
  arrival.timeout = 20ms;
  const RequestId own = b.world.request(arrival);
  b.world.send(sched::ParamsChanged{b.id, with_slo(20s)});
  b.world.run_to_rest();
  EXPECT_EQ(b.world.fate(own).rejected, b.world.fate(own).arrival + 20ms);
}

TEST(LiveChangeRules, WhatOutstayedADelayingPolicyStaysBehind) {
  World w(device_of(1), "temporal:triton=1");
  auto params = model("m", 1);
  params.lanes = 1;
  params.default_queue_policy.default_timeout = 10ms;
  params.default_queue_policy.timeout_action = sched::TimeoutAction::kDelay;
  const InstanceId m = w.add_model(params, Truth{.per_row = 40ms});
  w.request(m);
  const RequestId old = w.request(m);
  w.run_until(35ms);
  w.send(sched::ParamsChanged{m, with_slo(1s, sched::SloPolicy::kBestEffort)});
  const RequestId fresh = w.request(m);
  w.run_until(41ms);
  EXPECT_TRUE(w.fate(fresh).launched.has_value());
  EXPECT_FALSE(w.fate(old).launched.has_value());
  w.run_to_rest();
  w.expect_all_ended();
}

TEST(LiveChangeRules, TheLoadOfObjectivesFollows) {
  World w(device_of(1), "temporal");
  auto params = model("m", 1);
  params.lanes = 1;
  params.slo = 1s;
  const InstanceId m = w.add_model(params, Truth{.per_row = 40ms});
  for (int i = 0; i < 3; ++i) {
    w.request(m);
  }
  EXPECT_EQ(w.scheduler().load(w.now()).free_for_objectives, at(120ms));
  w.send(sched::ParamsChanged{m, with_slo(std::nullopt)});
  EXPECT_EQ(w.scheduler().load(w.now()).free_for_objectives, at(40ms));
  EXPECT_EQ(w.scheduler().load(w.now()).free_at, at(120ms));
  w.run_to_rest();
  w.expect_all_ended();
}

TEST(LiveChangeRules, AnInstanceThatHasGoneIsPassedOver) {
  World w(device_of(1), "tessera");
  w.send(sched::ParamsChanged{InstanceId{7}, with_slo(1s)});
  EXPECT_EQ(w.scheduler().waiting(), 0U);
}

TEST(LiveChangeRules, ACeilingCountsFromTheNextLaunchOn) {
  World w(device_of(4), "tessera");
  auto params = model("m", 1);
  params.lanes = 1;
  const InstanceId m = w.add_model(params, Truth{.per_row = 40ms});
  w.request(m);
  w.run_to_rest();
  sched::LiveParams capped;
  capped.max_share = 0.5;
  w.send(sched::ParamsChanged{m, capped});
  w.request(m);
  w.run_to_rest();
  ASSERT_EQ(w.launches().size(), 2U);
  EXPECT_EQ(w.launches()[0].slice.count, 4);
  EXPECT_LE(w.launches()[1].slice.count, 2);
}

// Weights decide under overload alone: the heavier of two equal tenants gets the larger part, before and after a swap.
TEST(LiveChangeRules, AWeightCountsFromNowOn) {
  World w(device_of(2), "tessera");
  auto params = model("a", 1);
  params.slo = 100ms;
  params.weight = 4;
  const InstanceId a = w.add_model(params, Truth{.per_row = 10ms});
  params.name = "b";
  params.weight = 1;
  const InstanceId b = w.add_model(params, Truth{.per_row = 10ms});
  w.poisson(a, 400, at(8s), 1);
  w.poisson(b, 400, at(8s), 2);
  w.later(at(4s), [&] {
    sched::LiveParams changed = with_slo(100ms);
    changed.weight = 1;
    w.send(sched::ParamsChanged{a, changed});
    changed.weight = 4;
    w.send(sched::ParamsChanged{b, changed});
  });
  w.run_to_rest();
  w.expect_all_ended();
  EXPECT_GT(w.score(a, at(1s), at(4s)).attainment(), w.score(b, at(1s), at(4s)).attainment() + 0.1);
  EXPECT_GT(w.score(b, at(6s), at(8s)).attainment(), w.score(a, at(6s), at(8s)).attainment() + 0.1);
}

// ---- Policies ----

TEST_P(LiveChange, EveryOtherPolicyTakesOverWhatWaitsAndRuns) {
  for (const std::string& next : every_policy(true)) {
    SCOPED_TRACE(next);
    World w(device_of(4), GetParam());
    auto params = model("m", 4);
    params.slo = 500ms;
    const InstanceId m = w.add_model(params, Truth{.per_row = 8ms});
    params.name = "n";
    const InstanceId n = w.add_model(params, Truth{.per_row = 8ms});
    w.poisson(m, 100, at(1s), 1);
    w.poisson(n, 100, at(1s), 2);
    w.later(at(500ms), [&] { w.send(sched::PolicyChanged{next}); });
    w.run_to_rest();
    w.expect_all_ended();
    EXPECT_GT(w.score(m, at(0s), at(1s)).attainment(), 0.9);
    EXPECT_GT(w.score(n, at(0s), at(1s)).attainment(), 0.9);
  }
}

// Under streams an atom may have any number of launches; the next policy waits until it may add one.
TEST(LiveChangeRules, AtomsThatManyShareAreClosedToTheNextPolicyUntilTheyAreFree) {
  World w(device_of(1), "streams");
  auto params = model("m", 1);
  params.lanes = 3;
  const InstanceId m = w.add_model(params, Truth{.per_row = 40ms});
  w.truth(m).slowdown = 10;  // they should have ended long ago by what is predicted
  for (int i = 0; i < 3; ++i) {
    w.request(m);
  }
  EXPECT_EQ(w.scheduler().in_flight(), 3U);
  w.run_until(200ms);
  w.send(sched::PolicyChanged{"tessera"});
  const InstanceId other = w.add_model(model("n", 1), Truth{.per_row = 10ms});
  const RequestId late = w.request(other);
  EXPECT_EQ(w.scheduler().in_flight(), 3U);
  w.run_to_rest();
  w.expect_all_ended();
  EXPECT_GE(w.fate(late).launched.value(), w.fate(RequestId{1}).ended.value());
}

TEST(LiveChangeRules, AFixedShareCountsFromTheChangeOn) {
  World w(device_of(4), "temporal");
  const InstanceId m = w.add_model(model("m", 1), Truth{.per_row = 40ms});
  w.request(m);
  w.run_to_rest();
  w.send(sched::PolicyChanged{"fixed:share.m=0.5"});
  w.request(m);
  w.run_to_rest();
  ASSERT_EQ(w.launches().size(), 2U);
  EXPECT_EQ(w.launches()[0].slice.count, 4);
  EXPECT_EQ(w.launches()[1].slice.count, 2);
}

}  // namespace
}  // namespace tessera::testing
