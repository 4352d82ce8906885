// Where requests go: the rules of the router, and what schedulers say of their load.
#include "sched/router.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/support/virtual_world.h"

namespace tessera::sched {
namespace {

using namespace std::chrono_literals;
using testing::at;

constexpr TimePoint kNow{1s};

Candidate candidate(Duration busy_for, Duration run, std::uint64_t waiting = 0, Duration each = 0ms) {
  return {kNow + busy_for, {each, run, waiting}};
}

TEST(Router, TakesTheDeviceWhereTheRequestEndsFirst) {
  const Router router;
  for (std::size_t begin = 0; begin < 4; ++begin) {
    // Idle but slow, busy but fast.
    EXPECT_EQ(router.choose(std::vector{candidate(0ms, 20ms), candidate(8ms, 5ms)}, kNow, begin), 1U);
    EXPECT_EQ(router.choose(std::vector{candidate(0ms, 20ms), candidate(22ms, 5ms)}, kNow, begin), 0U);
    // The model's own queue counts where it is longer than the device's.
    EXPECT_EQ(router.choose(std::vector{candidate(0ms, 5ms, 10, 2ms), candidate(8ms, 5ms)}, kNow, begin), 1U);
    EXPECT_EQ(router.choose(std::vector{candidate(0ms, 5ms, 1, 2ms), candidate(8ms, 5ms)}, kNow, begin), 0U);
  }
}

TEST(Router, EqualDevicesGetEqualShares) {
  const Router router;
  std::vector candidates{candidate(0ms, 5ms), candidate(-3ms, 5ms), candidate(30ms, 5ms), candidate(0ms, 5ms)};
  for (int i = 0; i < 300; ++i) {
    ++candidates[router.choose(candidates, kNow, 7)].routed;
  }
  EXPECT_EQ(candidates[0].routed, 100U);
  EXPECT_EQ(candidates[1].routed, 100U);
  EXPECT_EQ(candidates[2].routed, 0U);
  EXPECT_EQ(candidates[3].routed, 100U);
}

TEST(Router, OfBusyDevicesTheOneWithFewerOfTheModelIsTaken) {
  std::vector candidates{candidate(9ms, 5ms), candidate(12ms, 5ms)};
  EXPECT_EQ(Router().choose(candidates, kNow, 0), 0U);
  candidates[0].model.running = 2;
  candidates[1].model.running = 1;
  EXPECT_EQ(Router().choose(candidates, kNow, 0), 1U);
  candidates[1].free_at = kNow + 14ms;  // half of the wait more is more than nobody knows
  EXPECT_EQ(Router().choose(candidates, kNow, 0), 0U);
  // Nobody waits for an idle one.
  candidates[0].free_at = kNow;
  candidates[1].free_at = kNow + 2ms;
  EXPECT_EQ(Router().choose(candidates, kNow, 0), 0U);
}

TEST(Router, WhatAThreadSwitchTakesIsNoDifference) {
  std::vector candidates{candidate(0ms, 5us), candidate(0ms, 90us)};
  candidates[0].routed = 1;
  EXPECT_EQ(Router().choose(candidates, kNow, 0), 1U);
  EXPECT_EQ(Router().choose(std::vector{candidate(0ms, 5us), candidate(0ms, 190us)}, kNow, 1), 0U);
}

TEST(Router, ADeviceThatIsThoughtToBeSlowIsTriedNowAndThen) {
  std::vector candidates{candidate(0ms, 300us), candidate(0ms, 5us)};
  const auto route = [&] {
    for (int i = 0; i < 2560; ++i) {
      ++candidates[Router().choose(candidates, kNow, 0)].routed;
    }
    return candidates[0].routed;
  };
  const std::uint64_t tried = route();
  EXPECT_GE(tried, 9U);
  EXPECT_LE(tried, 11U);
  // Work that would only wait there finds nothing out sooner.
  candidates[0].free_at = kNow + 1ms;
  EXPECT_EQ(route(), tried);
  candidates[0].free_at = kNow;
  candidates[0].model.waiting = 1;
  EXPECT_EQ(route(), tried);
}

TEST(Router, TheFirstRequestsBeginAnywhere) {
  const std::vector candidates{candidate(0ms, 5ms), candidate(0ms, 5ms), candidate(0ms, 5ms)};
  for (std::size_t begin = 0; begin < 6; ++begin) {
    EXPECT_EQ(Router().choose(candidates, kNow, begin), begin % 3);
  }
}

TEST(Router, AModelThatNobodySawRunIsTakenToBeAsSlowAsTheSlowest) {
  const Router router;
  const std::vector candidates{candidate(0ms, 0ms, 3), candidate(0ms, 10ms, 1, 10ms)};
  EXPECT_EQ(router.choose(candidates, kNow, 0), 1U);
  // Where nobody knows anything the shorter queue wins.
  EXPECT_EQ(router.choose(std::vector{candidate(0ms, 0ms, 3), candidate(0ms, 0ms, 1)}, kNow, 0), 1U);
}

TEST(RouterProperty, NoneEndsMuchSoonerThanTheChosenOne) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const Router router;
  for (int round = 0; round < 20000; ++round) {
    std::vector<Candidate> candidates(1 + random() % 8);
    Duration slowest{0};
    for (Candidate& c : candidates) {
      c = candidate(std::chrono::microseconds(random() % 20000) - 5ms, std::chrono::microseconds(1 + random() % 9000),
                    random() % 8, std::chrono::microseconds(random() % 3000));
      slowest = std::max(slowest, c.model.run);
    }
    const auto end = [](const Candidate& c) {
      return std::max(std::max(c.free_at - kNow, Duration{0}), c.model.each * static_cast<int>(c.model.waiting)) +
             c.model.run;
    };
    const std::size_t chosen = router.choose(candidates, kNow, random());
    ASSERT_LT(chosen, candidates.size());
    for (const Candidate& c : candidates) {
      ASSERT_LE(end(candidates[chosen]), end(c) + (end(c) - c.model.run) / 2 + std::max(slowest / 2, Duration(200us)));
    }
  }
}

TEST(SchedulerLoad, GrowsWithWhatRunsAndWaitsAndEndsWithIt) {
  testing::World w(testing::device_of(4), "temporal");
  auto urgent = testing::model("urgent", 1);
  urgent.slo = 10s;
  const InstanceId objective = w.add_model(urgent, {.per_row = 40ms});
  const InstanceId patient = w.add_model(testing::model("patient", 1), {.per_row = 80ms});
  EXPECT_EQ(w.scheduler().load(at(0ms)).free_at, at(0ms));
  EXPECT_EQ(w.scheduler().load(objective).run, 10ms);
  EXPECT_EQ(w.scheduler().load(objective).each, 10ms);
  w.request(objective);  // runs: 10 ms of the whole device
  for (int i = 0; i < 3; ++i) {
    w.request(objective);
    w.request(patient);  // 20 ms
  }
  const auto near = [](TimePoint a, TimePoint b) { return a - b < 1us && b - a < 1us; };
  DeviceLoad load = w.scheduler().load(w.now());
  EXPECT_TRUE(near(load.free_for_objectives, at(40ms))) << load.free_for_objectives.time_since_epoch().count();
  EXPECT_TRUE(near(load.free_at, at(100ms))) << load.free_at.time_since_epoch().count();
  w.run_to_rest();
  load = w.scheduler().load(w.now());
  EXPECT_EQ(load.free_at, w.now());
  EXPECT_EQ(load.free_for_objectives, w.now());
}

TEST(SchedulerLoad, WhatIsCancelledOrRejectedCountsNoMore) {
  testing::World w(testing::device_of(2), "temporal");
  const InstanceId id = w.add_model(testing::model("m", 1), {.per_row = 40ms});
  w.request(id);
  const RequestId gone = w.request(id);
  auto impatient = w.arrival(id);
  impatient.timeout = 5ms;
  w.request(impatient);
  EXPECT_GT(w.scheduler().load(w.now()).free_at, at(59ms));
  w.cancel(gone);
  w.run_until(6ms);
  EXPECT_LT(w.scheduler().load(w.now()).free_at, at(21ms));
  w.run_to_rest();
}

TEST(SchedulerLoad, WhatIsOverdueCountsForAsLongAgain) {
  testing::World w(testing::device_of(4), "temporal");
  const InstanceId id = w.add_model(testing::model("m", 1), {.per_row = 40ms});
  w.truth(id).slowdown = 100;  // predicted: 10 ms
  w.request(id);
  w.run_until(10ms);
  EXPECT_EQ(w.scheduler().load(w.now()).free_at, at(10ms));
  w.run_until(60ms);
  EXPECT_EQ(w.scheduler().load(w.now()).free_at, at(110ms));
  w.run_until(510ms);
  EXPECT_EQ(w.scheduler().load(w.now()).free_for_objectives, at(1010ms));
  w.run_to_rest();
  EXPECT_EQ(w.scheduler().load(w.now()).free_at, w.now()) << "it has ended after all";
}

TEST(SchedulerLoad, WhatIsCommittedBehindAnOverdueLaunchWaitsForIt) {
  testing::World::Options options;
  options.policy = "temporal";
  options.limits.committed_per_atom = 1;
  options.limits.run_ahead = 1s;
  testing::World w(testing::device_of(4), options);
  const InstanceId stuck = w.add_model(testing::model("stuck", 1), {.per_row = 40ms});
  const InstanceId other = w.add_model(testing::model("other", 1), {.per_row = 40ms});
  w.truth(stuck).slowdown = 100;  // predicted: 10 ms
  w.request(stuck);
  w.request(other);
  w.run_until(510ms);
  w.cancel(w.request(other));  // something happens
  EXPECT_GE(w.scheduler().load(w.now()).free_at, at(1010ms));
  w.run_to_rest();
}

TEST(SchedulerLoad, AtomsOfLaunchesThatDoNotEndCountForNothing) {
  testing::World::Options options;
  options.limits.overdue = kSteadyRule;
  testing::World w(testing::device_of(4), options);
  sched::ModelParams small = testing::model("small", 1);
  small.lanes = 4;
  small.max_share = 0.25;
  const InstanceId stuck = w.add_model(small, {.per_row = 1ms});
  w.truth(stuck).slowdown = 1e5;
  w.request(stuck);
  w.run_until(3s);  // it is given up after two
  ASSERT_EQ(w.stuck().size(), 1U);
  EXPECT_EQ(w.scheduler().load(w.now()).free_at, w.now()) << "three atoms are idle";
  w.request(w.add_model(testing::model("three", 1), {.per_row = 30ms}));
  EXPECT_EQ(w.scheduler().load(w.now()).free_at, w.now() + 10ms) << "and have all the work";
}

TEST(SchedulerLoad, OfAnUnknownModelIsNothing) {
  testing::World w(testing::device_of(2), "temporal");
  EXPECT_EQ(w.scheduler().load(InstanceId{7}).run, 0ms);
  const InstanceId unmeasured = w.add_model(testing::model("m", 1), {.per_row = 40ms}, false);
  EXPECT_EQ(w.scheduler().load(unmeasured).run, 0ms);
}

}  // namespace
}  // namespace tessera::sched
