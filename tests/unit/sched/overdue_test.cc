// When a launch is overdue: pure, on times that the test names.
#include "sched/overdue.h"

#include <gtest/gtest.h>

#include "tests/support/virtual_world.h"

namespace tessera::sched {
namespace {

using namespace std::chrono_literals;
using testing::at;

OverdueWatch::Launch launch(std::uint64_t id, Slice slice, Duration limit = 2s, bool after_lane_only = false) {
  return {{id}, slice, after_lane_only, limit};
}

// Looks whenever the watch asks for it, until `end`: who was found, and when.
std::vector<std::pair<std::uint64_t, TimePoint>> found_until(OverdueWatch& watch, TimePoint end) {
  std::vector<std::pair<std::uint64_t, TimePoint>> found;
  while (watch.next() <= end) {
    const TimePoint look = watch.next();
    while (const auto id = watch.due(look)) {
      found.emplace_back(id->value, look);
    }
  }
  return found;
}

using Found = std::vector<std::pair<std::uint64_t, TimePoint>>;

TEST(OverdueRule, TenTimesThePredictionAndTwoSecondsAtLeast) {
  EXPECT_EQ(kSteadyRule.limit(1ms, true), 2s);
  EXPECT_EQ(kSteadyRule.limit(200ms, true), 2s);
  EXPECT_EQ(kSteadyRule.limit(700ms, true), 7s);
}

TEST(OverdueRule, WhatIsNotPredictedMayTakeTenFirstRuns) {
  EXPECT_EQ(kSteadyRule.limit(kForever, true), 30s);
  EXPECT_EQ(kSteadyRule.limit(1ms, false), 30s);  // the prediction may be another shape's
  EXPECT_EQ(kSteadyRule.limit(5s, false), 50s);
}

TEST(OverdueRule, WhereOthersSlowARunDownItMayTakeAHundredTimes) {
  DeviceShape shape;
  EXPECT_EQ(overdue_rule(shape).limit(1ms, true), 60s);
  EXPECT_EQ(overdue_rule(shape).limit(2s, true), 200s);
  EXPECT_EQ(overdue_rule(shape).limit(kForever, true), 600s);
  shape.steady = true;
  EXPECT_EQ(overdue_rule(shape).limit(1ms, true), 2s);
}

TEST(OverdueRule, NoPredictionMakesALimitOverflow) {
  EXPECT_EQ(kUnsteadyRule.limit(kForever - 1ns, true), 24h);
  OverdueWatch watch;
  for (std::uint64_t i = 1; i <= 4096; ++i) {
    watch.begin(OverdueWatch::Launch{{i}, {0, 2}, true, kUnsteadyRule.limit(kForever - 1ns, true)}, at(1s));
  }
  EXPECT_GT(watch.next(), at(1s) + 24h);
}

TEST(OverdueWatch, FindsALaunchAtItsLimitAndOnce) {
  OverdueWatch watch;
  EXPECT_EQ(watch.next(), kNever);
  watch.begin(launch(1, {0, 2}), at(1s));
  EXPECT_EQ(found_until(watch, at(100s)), (Found{{1, at(3s)}}));
  EXPECT_EQ(watch.next(), kNever);
}

TEST(OverdueWatch, WhatEndedInTimeIsForgotten) {
  OverdueWatch watch;
  watch.begin(launch(1, {0, 2}), at(0s));
  watch.end({1}, at(1999ms));
  watch.end({7}, at(1999ms));  // never begun
  EXPECT_TRUE(found_until(watch, at(100s)).empty());
}

TEST(OverdueWatch, TheTimeOfALaunchBeginsWhenWhatItWaitsForHasEnded) {
  OverdueWatch watch;
  watch.begin(launch(1, {0, 2}), at(0s));
  watch.begin(launch(2, {1, 2}), at(0s));  // behind the first
  watch.begin(launch(3, {2, 2}), at(0s));  // behind the second
  watch.end({1}, at(1500ms));
  EXPECT_TRUE(found_until(watch, at(3400ms)).empty());
  watch.end({2}, at(3400ms));
  EXPECT_EQ(found_until(watch, at(100s)), (Found{{3, at(5400ms)}}));
}

TEST(OverdueWatch, WhatIsBehindAStuckLaunchIsNotBlamed) {
  OverdueWatch watch;
  watch.begin(launch(1, {0, 2}), at(0s));
  watch.begin(launch(2, {1, 2}), at(0s));
  watch.begin(launch(3, {2, 2}), at(0s));
  watch.begin(launch(4, {4, 2}), at(0s));
  watch.end({4}, at(1s));
  EXPECT_EQ(found_until(watch, at(100s)), (Found{{1, at(2s)}}));
  EXPECT_EQ(watch.behind({1}), (std::vector<LaunchId>{{2}, {3}}));
}

TEST(OverdueWatch, OneThatIsBesideTheOthersIsBehindNothing) {
  OverdueWatch watch;
  watch.begin(launch(1, {0, 2}), at(0s));
  watch.begin(launch(2, {2, 2}), at(0s));
  EXPECT_TRUE(watch.behind({1}).empty());
}

TEST(OverdueWatch, LaunchesThatShareTheProcessorsGetAsManyTimesTheLimit) {
  OverdueWatch watch;
  watch.begin(launch(1, {0, 4}, 2s, true), at(0s));
  watch.begin(launch(2, {0, 4}, 2s, true), at(0s));
  watch.begin(launch(3, {0, 4}, 2s, true), at(0s));
  watch.end({2}, at(1s));
  watch.end({3}, at(1s));
  EXPECT_EQ(found_until(watch, at(100s)), (Found{{1, at(6s)}}));
}

TEST(OverdueWatch, AProcessThatWasStoppedHearsOfEndsFirst) {
  OverdueWatch watch;
  watch.begin(launch(1, {0, 2}), at(0s));
  EXPECT_FALSE(watch.due(at(60s)).has_value());  // the first look after a long sleep
  EXPECT_EQ(watch.next(), at(60s) + 400ms);
  watch.end({1}, at(60s) + 1ms);
  EXPECT_TRUE(found_until(watch, at(100s)).empty());
}

TEST(OverdueWatch, ASleepBetweenTheTwoLooksCountsAsNone) {
  OverdueWatch watch;
  watch.begin(launch(1, {0, 2}), at(0s));
  EXPECT_EQ(watch.next(), at(1600ms));
  EXPECT_FALSE(watch.due(at(1600ms)).has_value());
  EXPECT_EQ(watch.next(), at(2s));
  EXPECT_FALSE(watch.due(at(60s)).has_value());
  EXPECT_EQ(found_until(watch, at(100s)), (Found{{1, at(60s) + 400ms}}));
}

TEST(OverdueWatch, BeginAndEndSayWhenToLook) {
  OverdueWatch watch;
  EXPECT_EQ(watch.begin(launch(1, {0, 2}), at(0s)), at(1600ms));
  EXPECT_EQ(watch.begin(launch(2, {0, 2}, 1s), at(0s)), kNever);
  EXPECT_EQ(watch.end({1}, at(1s)), at(1800ms));
  EXPECT_EQ(watch.end({2}, at(1s)), kNever);
}

}  // namespace
}  // namespace tessera::sched
