#include "device/cuda/free_ranges.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace tessera::device {
namespace {

TEST(FreeRangesTest, WhatIsTakenInARowLiesSideBySide) {
  FreeRanges ranges;
  ranges.add(0, 100);
  EXPECT_EQ(ranges.take(30), 0U);
  EXPECT_EQ(ranges.take(30), 30U);
  EXPECT_EQ(ranges.take(30), 60U);
  EXPECT_FALSE(ranges.take(30).has_value());
  EXPECT_EQ(ranges.begin_of_last(100), 90U);
  EXPECT_EQ(ranges.take(10), 90U);
  EXPECT_EQ(ranges.begin_of_last(100), 100U);
}

TEST(FreeRangesTest, TheSmallestThatSufficesIsTakenTheLowestAmongEquals) {
  FreeRanges ranges;
  ranges.add(0, 50);
  ranges.add(100, 20);
  ranges.add(200, 20);
  EXPECT_EQ(ranges.take(15), 100U);
  EXPECT_EQ(ranges.take(20), 200U);
  EXPECT_EQ(ranges.take(20), 0U);
}

TEST(FreeRangesTest, NeighboursJoinOnBothSides) {
  FreeRanges ranges;
  ranges.add(0, 10);
  ranges.add(20, 10);
  EXPECT_FALSE(ranges.take(30).has_value());
  ranges.add(10, 10);
  EXPECT_EQ(ranges.take(30), 0U);
}

TEST(FreeRangesTest, AtRandomPartsStayDisjointAndEverythingJoinsInTheEnd) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  FreeRanges ranges;
  ranges.add(0, 4096);
  std::map<std::size_t, std::size_t> taken;  // size by offset
  for (int i = 0; i < 5000; ++i) {
    if (random() % 2 == 0) {
      const std::size_t size = 1 + random() % (random() % 4 == 0 ? 1024 : 64);
      const auto offset = ranges.take(size);
      if (!offset) {
        continue;
      }
      const auto after = taken.lower_bound(*offset);
      ASSERT_LE(*offset + size, after == taken.end() ? 4096 : after->first);
      ASSERT_TRUE(after == taken.begin() || std::prev(after)->first + std::prev(after)->second <= *offset);
      taken[*offset] = size;
    } else if (!taken.empty()) {
      const auto gone = std::next(taken.begin(), static_cast<std::ptrdiff_t>(random() % taken.size()));
      ranges.add(gone->first, gone->second);
      taken.erase(gone);
    }
  }
  for (const auto& [offset, size] : taken) {
    ranges.add(offset, size);
  }
  EXPECT_EQ(ranges.take(4096), 0U);
}

}  // namespace
}  // namespace tessera::device
