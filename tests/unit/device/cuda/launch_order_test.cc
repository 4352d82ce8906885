#include "device/cuda/launch_order.h"

#include <gtest/gtest.h>

#include <vector>

namespace tessera::device {
namespace {

class LaunchOrderTest : public testing::Test {
 protected:
  LaunchOrder::Placed add(const Slice& slice, After after = After::kOverlap, std::uint16_t lane = 0) {
    const auto placed =
        order_.add({.id = {++last_id_}, .instance = {1}, .lane = {lane}, .slice = slice, .after = after});
    EXPECT_TRUE(placed.has_value());
    return *placed;
  }
  static std::vector<std::size_t> list(const LaunchOrder::Places& places) {
    std::vector<std::size_t> set;
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (places.test(i)) {
        set.push_back(i);
      }
    }
    return set;
  }
  LaunchOrder::Placed add_to(std::uint16_t lane, const Slice& slice) { return add(slice, After::kOverlap, lane); }
  void end(const LaunchOrder::Placed& placed) {
    order_.note_ended(placed.place);
    order_.remove(placed.place);
  }

  LaunchOrder order_{4};
  std::uint64_t last_id_ = 0;
};

using Set = std::vector<std::size_t>;

TEST_F(LaunchOrderTest, OnOneSliceLaunchesFollowOnOneStreamWithoutEvents) {
  const auto first = add({0, 1});
  const auto second = add({0, 1});
  EXPECT_EQ(second.stream, first.stream);
  EXPECT_EQ(list(second.waits_for), Set{first.place});
  EXPECT_TRUE(second.events.none());
}

TEST_F(LaunchOrderTest, CopiesOfOutputsAreNotWaitedForOnTheirStream) {
  const auto first =
      *order_.add({.id = {++last_id_}, .instance = {1}, .slice = {0, 1}}, LaunchOrder::On::kPoolWithCopies);
  const auto second = add({0, 1});
  EXPECT_NE(second.stream, first.stream);
  EXPECT_EQ(list(second.events), Set{first.place});
}

TEST_F(LaunchOrderTest, DisjointSlicesHaveStreamsOfTheirOwn) {
  const auto left = add({0, 1});
  const auto right = add({1, 1});
  EXPECT_NE(left.stream, right.stream);
  EXPECT_TRUE(right.waits_for.none());
}

TEST_F(LaunchOrderTest, AWideLaunchWaitsForAllAndFollowsOneOfThem) {
  const auto left = add({0, 1});
  const auto right = add({1, 1});
  const auto wide = add({0, 2});
  EXPECT_EQ(list(wide.waits_for), (Set{left.place, right.place}));
  EXPECT_EQ(wide.stream, left.stream);
  EXPECT_EQ(list(wide.events), Set{right.place});
}

TEST_F(LaunchOrderTest, WhatAPredecessorWaitsForIsNotWaitedForAgain) {
  add({0, 1});
  add({1, 1});
  const auto wide = add({0, 2});
  const auto after = add({1, 1});
  EXPECT_EQ(list(after.waits_for), Set{wide.place});
}

TEST_F(LaunchOrderTest, ByLaneOnlyTheLaneCounts) {
  const auto first = add({0, 2}, After::kLane, 1);
  const auto other = add({0, 2}, After::kLane, 2);
  EXPECT_TRUE(other.waits_for.none());
  EXPECT_NE(other.stream, first.stream);
  const auto next = add({2, 1}, After::kLane, 1);
  EXPECT_EQ(list(next.waits_for), Set{first.place});
  const auto careful = add({0, 1});
  EXPECT_EQ(list(careful.waits_for), (Set{first.place, other.place}));
}

TEST_F(LaunchOrderTest, WhatHasEndedIsNotWaitedFor) {
  const auto first = add({0, 1});
  order_.note_ended(first.place);
  EXPECT_TRUE(add({0, 1}).waits_for.none());
}

TEST_F(LaunchOrderTest, AStreamIsTakenAgainOnceItsLastLaunchHasEnded) {
  const auto first = add({0, 1});
  add({1, 1});
  add({2, 1});
  add({3, 1});
  end(first);
  const auto next = add({4, 1});
  EXPECT_EQ(next.stream, first.stream);
  EXPECT_TRUE(next.waits_for.none());
}

TEST_F(LaunchOrderTest, WithoutAFreeStreamTheOldestIsWaitedFor) {
  const auto oldest = add({0, 1});
  add({1, 1});
  add({2, 1});
  add({3, 1});
  const auto crowded = add({4, 1});
  EXPECT_EQ(crowded.stream, oldest.stream);
  EXPECT_EQ(list(crowded.waits_for), Set{oldest.place}) << "or its start would be reckoned wrongly";
  EXPECT_TRUE(crowded.events.none());
}

TEST_F(LaunchOrderTest, APlaceThatIsUsedAgainIsNotMistakenForWhatWasThere) {
  const auto first = add({0, 1});
  const auto second = add({0, 2});
  const auto third = add({1, 1});
  ASSERT_EQ(third.stream, second.stream);
  end(first);
  const auto elsewhere = add({2, 1});
  ASSERT_EQ(elsewhere.place, first.place);
  const auto next = add({0, 1});
  EXPECT_EQ(list(next.waits_for), Set{second.place});
  EXPECT_NE(next.stream, elsewhere.stream) << "second waited for what was there before";
}

// Copies go ahead of the slice, but not of the lane whose memory they write.
TEST_F(LaunchOrderTest, TheLaunchBeforeInTheLaneIsNamedForCopies) {
  const auto first = add_to(1, {0, 1});
  const auto other = add_to(2, {0, 1});
  EXPECT_TRUE(other.lane.none());
  const auto next = add_to(1, {0, 2});
  EXPECT_EQ(list(next.waits_for), Set{other.place});
  EXPECT_EQ(list(next.lane), Set{first.place}) << "the run waits for it by way of others, a copy does not";
  const auto last = add_to(1, {0, 1});
  EXPECT_EQ(list(last.lane), Set{next.place}) << "which has waited for the first itself";
  for (const auto& placed : {first, next, last}) {
    order_.note_ended(placed.place);
  }
  EXPECT_TRUE(add_to(1, {0, 1}).lane.none());
}

TEST_F(LaunchOrderTest, ALaneIsOneInstances) {
  add_to(1, {0, 1});
  const auto other = order_.add({.id = {++last_id_}, .instance = {2}, .lane = {1}, .slice = {0, 1}});
  ASSERT_TRUE(other.has_value());
  EXPECT_TRUE(other->lane.none());
}

TEST_F(LaunchOrderTest, LaunchesAreBoundedAndFoundById) {
  LaunchOrder::Placed first = add({0, 1});
  for (std::size_t i = 1; i < LaunchOrder::kMaxInFlight; ++i) {
    add({0, 1});
  }
  EXPECT_FALSE(order_.add({.id = {1000}, .slice = {0, 1}}).has_value());
  EXPECT_EQ(order_.find({1}), first.place);
  end(first);
  EXPECT_FALSE(order_.find({1}).has_value());
  EXPECT_TRUE(order_.add({.id = {1000}, .slice = {0, 1}}).has_value());
}

}  // namespace
}  // namespace tessera::device
