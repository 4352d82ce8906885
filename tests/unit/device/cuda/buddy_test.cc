#include "device/cuda/buddy.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace tessera::device {
namespace {

TEST(BuddyTest, BlocksAreRoundedUpAndLimited) {
  Buddy buddy(64, 4, 32);
  EXPECT_EQ(buddy.take(0), 0U);
  EXPECT_EQ(buddy.take(5), 8U);
  EXPECT_EQ(buddy.take(1), 4U);
  EXPECT_FALSE(buddy.take(33).has_value());
  EXPECT_EQ(buddy.take(32), 32U);
  EXPECT_EQ(buddy.take(16), 16U);
  EXPECT_FALSE(buddy.take(1).has_value());
}

TEST(BuddyTest, NeighboursJoinAgain) {
  Buddy buddy(32, 4, 32);
  const auto a = buddy.take(4);
  const auto b = buddy.take(4);
  const auto c = buddy.take(16);
  EXPECT_FALSE(buddy.take(32).has_value());
  buddy.give_back(*b, 4);
  buddy.give_back(*c, 16);
  buddy.give_back(*a, 4);
  EXPECT_EQ(buddy.take(32), 0U);
}

TEST(BuddyTest, RandomBlocksAreAlignedAndDisjointAndNothingIsLost) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  Buddy buddy(4096, 8, 1024);
  std::map<std::size_t, std::size_t> leased;  // size by offset
  for (int i = 0; i < 5000; ++i) {
    if (random() % 2 == 0) {
      const std::size_t size = 1 + random() % (random() % 4 == 0 ? 1024 : 64);
      const auto offset = buddy.take(size);
      if (!offset) {
        continue;
      }
      const auto after = leased.lower_bound(*offset);
      ASSERT_TRUE(after == leased.end() || *offset + size <= after->first);
      ASSERT_TRUE(after == leased.begin() || std::prev(after)->first + std::prev(after)->second <= *offset);
      ASSERT_EQ(*offset % 8, 0U);
      leased[*offset] = size;
    } else if (!leased.empty()) {
      const auto gone = std::next(leased.begin(), static_cast<std::ptrdiff_t>(random() % leased.size()));
      buddy.give_back(gone->first, gone->second);
      leased.erase(gone);
    }
  }
  for (const auto& [offset, size] : leased) {
    buddy.give_back(offset, size);
  }
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(buddy.take(1024).has_value());
  }
}

}  // namespace
}  // namespace tessera::device
