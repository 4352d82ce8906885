#include "measure/gaps_between.h"

#include <gtest/gtest.h>

namespace tessera::measure {
namespace {

using device::ObservedLaunch;

TimePoint at(std::int64_t ns) { return TimePoint(Duration(ns)); }
double same(std::uint64_t ns) { return static_cast<double>(ns); }

ObservedLaunch launch(std::uint64_t number, const Slice& slice, std::uint64_t begun, std::uint64_t ended,
                      std::int64_t queued) {
  return {.number = number,
          .slice = slice,
          .card = {begun, ended},
          .queued = at(queued),
          .seen = at(static_cast<std::int64_t>(ended) + 2'000),
          .told = at(static_cast<std::int64_t>(ended) + 3'000)};
}

// Two atoms: one launch in each, then one in both, then the same again.
std::vector<ObservedLaunch> four() {
  return {launch(1, {0, 1}, 1'000, 10'000, 500), launch(2, {1, 1}, 1'000, 6'000, 600),
          launch(3, {0, 2}, 13'000, 20'000, 9'000), launch(4, {0, 2}, 21'000, 30'000, 20'500)};
}

TEST(GapsBetweenTest, AGapBeginsWithTheLatestOfThoseWaitedForAndWaitingIsApart) {
  const GapsBetween gaps = gaps_between(four(), 2, same, at(0), at(40'000));
  EXPECT_EQ(gaps.launches, 4U);
  EXPECT_EQ(gaps.changed_us.count, 1U);
  EXPECT_DOUBLE_EQ(gaps.changed_us.p50, 3);
  EXPECT_EQ(gaps.same_us.count, 1U);
  EXPECT_DOUBLE_EQ(gaps.same_us.p50, 1);
  EXPECT_DOUBLE_EQ(gaps.between, (3'000.0 * 2 + 1'000.0 * 2) / 80'000);
  EXPECT_DOUBLE_EQ(gaps.waiting, 4'000.0 / 80'000) << "the second atom waited for the first";
  EXPECT_DOUBLE_EQ(gaps.busy, (9'000.0 + 5'000 + 2 * 7'000 + 2 * 9'000) / 80'000);
  EXPECT_EQ(gaps.overlaps, 0U);
}

TEST(GapsBetweenTest, WhatWasQueuedBeforeTheEndWasCommitted) {
  const GapsBetween gaps = gaps_between(four(), 2, same, at(0), at(40'000));
  EXPECT_EQ(gaps.changed_ahead_us.count, 1U);
  EXPECT_EQ(gaps.changed_behind_us.count, 0U);
  EXPECT_EQ(gaps.same_ahead_us.count, 0U);
  EXPECT_EQ(gaps.same_behind_us.count, 1U) << "queued 500 ns after the end";
}

TEST(GapsBetweenTest, ASliceThatOnlyOneOfItsAtomsHadBeforeIsAChange) {
  auto launches = four();
  launches.push_back(launch(5, {0, 1}, 31'000, 32'000, 0));
  launches.push_back(launch(6, {0, 2}, 33'000, 34'000, 0));
  const GapsBetween gaps = gaps_between(launches, 2, same, at(0), at(40'000));
  EXPECT_EQ(gaps.changed_us.count, 3U);
  EXPECT_DOUBLE_EQ(gaps.waiting, (4'000.0 + 2'000) / 80'000);
}

TEST(GapsBetweenTest, EndsAreSeenOnTheHostsAxis) {
  // The card's clock is 1,000 ns behind: ends are that much nearer.
  const GapsBetween gaps = gaps_between(
      four(), 2, [](std::uint64_t ns) { return static_cast<double>(ns) + 1'000; }, at(0), at(40'000));
  EXPECT_DOUBLE_EQ(gaps.seen_us.p50, 1);
  EXPECT_DOUBLE_EQ(gaps.told_us.p50, 2);
  EXPECT_EQ(gaps.changed_ahead_us.count, 1U);
  EXPECT_EQ(gaps.same_ahead_us.count, 1U) << "20,500 is before 21,000";
}

TEST(GapsBetweenTest, OnlyWhatRunsWithinTheTimeCountsButWhatRanBeforeIsKnown) {
  const GapsBetween gaps = gaps_between(four(), 2, same, at(12'000), at(30'000));
  EXPECT_EQ(gaps.launches, 1U);
  EXPECT_EQ(gaps.changed_us.count, 1U);
  EXPECT_EQ(gaps.same_us.count, 0U) << "it ends too late";
}

TEST(GapsBetweenTest, ABrokenOrderIsCountedAndAnUntimedLaunchToo) {
  auto launches = four();
  launches.push_back(launch(5, {0, 2}, 29'000, 32'000, 0));
  launches.push_back(launch(6, {0, 2}, 0, 0, 0));
  const GapsBetween gaps = gaps_between(launches, 2, same, at(0), at(40'000));
  EXPECT_EQ(gaps.overlaps, 1U);
  EXPECT_EQ(gaps.untimed, 1U);
}

TEST(GapsBetweenTest, InFlightIsWhatIsQueuedAndHasNotEnded) {
  const GapsBetween gaps = gaps_between(four(), 2, same, at(0), at(40'000));
  EXPECT_DOUBLE_EQ(gaps.in_flight.most, 2) << "at 6,000 the first two; at 10,000 the first and the third";
}

TEST(GapsBetweenTest, MissingNumbersAndDoubleOnesAreLost) {
  EXPECT_EQ(lost_of(four()), 0U);
  auto launches = four();
  launches.erase(launches.begin() + 1);
  EXPECT_EQ(lost_of(launches), 1U);
  launches.push_back(launches.back());
  EXPECT_EQ(lost_of(launches), 2U);
  EXPECT_EQ(lost_of({}), 0U);
}

TEST(QuantilesTest, OfNoneAreZero) {
  EXPECT_EQ(quantiles_of({}).count, 0U);
  const Quantiles of = quantiles_of({4, 1, 3, 2});
  EXPECT_DOUBLE_EQ(of.p50, 3);
  EXPECT_DOUBLE_EQ(of.most, 4);
}

}  // namespace
}  // namespace tessera::measure
