#include "tests/support/cuda/gaps.h"

#include <gtest/gtest.h>

namespace tessera::device::contract {
namespace {

TEST(GapsTest, AGapBeginsWithTheLatestOfThoseWaitedFor) {
  // Two atoms: one launch in each, then one in both, then the same again.
  const auto gaps =
      gaps_of({{{0, 1}, 0, 10'000}, {{1, 1}, 0, 6'000}, {{0, 2}, 13'000, 20'000}, {{0, 2}, 21'000, 30'000}}, 2);
  EXPECT_EQ(gaps.changed_slice_us, std::vector<double>{3});
  EXPECT_EQ(gaps.same_slice_us, std::vector<double>{1});
  EXPECT_DOUBLE_EQ(gaps.share, (3'000.0 * 2 + 1'000.0 * 2) / 60'000);
  EXPECT_DOUBLE_EQ(gaps.waiting_share, 4'000.0 / 60'000) << "the second atom waited for the first";
  EXPECT_EQ(gaps.overlaps, 0U);
}

TEST(GapsTest, TheFirstLaunchOfAnAtomHasNone) {
  const auto gaps = gaps_of({{{0, 1}, 0, 10'000}, {{0, 2}, 50'000, 60'000}}, 2);
  EXPECT_TRUE(gaps.changed_slice_us.empty());
  EXPECT_DOUBLE_EQ(gaps.share, 0);
}

TEST(GapsTest, ABrokenOrderIsCounted) {
  EXPECT_EQ(gaps_of({{{0, 1}, 0, 10'000}, {{0, 1}, 9'000, 20'000}}, 1).overlaps, 1U);
}

}  // namespace
}  // namespace tessera::device::contract
