#include "core/slice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <set>
#include <vector>

namespace tessera {
namespace {

TEST(Slice, OverlapsAndContains) {
  const Slice left{0, 2};
  const Slice right{2, 2};
  EXPECT_FALSE(left.overlaps(right));
  EXPECT_FALSE(right.overlaps(left));
  EXPECT_TRUE(left.overlaps({1, 1}));
  EXPECT_TRUE((Slice{0, 4}).overlaps(right));
  EXPECT_TRUE(left.contains(1));
  EXPECT_FALSE(left.contains(2));
}

TEST(Ladder, IsWhatTheDesignSaysForSomeSizes) {
  EXPECT_EQ(aligned_ladder(1), (std::vector<Slice>{{0, 1}}));
  EXPECT_EQ(aligned_ladder(2), (std::vector<Slice>{{0, 1}, {1, 1}, {0, 2}}));
  EXPECT_EQ(aligned_ladder(4),
            (std::vector<Slice>{{0, 1}, {1, 1}, {2, 1}, {3, 1}, {0, 2}, {2, 2}, {0, 3}, {1, 3}, {0, 4}}));
  EXPECT_EQ(aligned_ladder(16).size(), 33U);
}

TEST(Ladder, HasItsPropertiesForEverySize) {
  for (std::uint16_t atoms = 1; atoms <= 130; ++atoms) {
    SCOPED_TRACE(testing::Message() << atoms << " atoms");
    const auto ladder = aligned_ladder(atoms);
    EXPECT_EQ(std::set<Slice>(ladder.begin(), ladder.end()).size(), ladder.size());
    EXPECT_LE(ladder.size(), 2U * atoms + 2);
    EXPECT_EQ(ladder.back(), (Slice{0, atoms}));
    EXPECT_TRUE(std::is_sorted(ladder.begin(), ladder.end(), [](const Slice& a, const Slice& b) {
      return a.count != b.count ? a.count < b.count : a.first < b.first;
    }));
    std::set<std::uint16_t> singles;
    for (const Slice& slice : ladder) {
      ASSERT_GT(slice.count, 0);
      ASSERT_LE(slice.end(), atoms);
      if (slice.count == 1) {
        singles.insert(slice.first);
      }
      const bool whole = slice.count == atoms;
      const bool three_quarters = slice.count * 4 == atoms * 3;
      const bool aligned = std::has_single_bit(slice.count) && slice.first % slice.count == 0;
      EXPECT_TRUE(whole || three_quarters || aligned) << slice.first << "+" << slice.count;
    }
    EXPECT_EQ(singles.size(), atoms) << "every atom is a slice of its own";
    // Aligned slices nest or are disjoint, which keeps the scheduler's best fit simple.
    for (const Slice& a : ladder) {
      for (const Slice& b : ladder) {
        if (std::has_single_bit(a.count) && std::has_single_bit(b.count) && a.overlaps(b) && a.count <= b.count) {
          EXPECT_TRUE(a.first >= b.first && a.end() <= b.end());
        }
      }
    }
  }
}

TEST(Ladder, TheLoaderSliceIsTheUpperQuarter) {
  EXPECT_EQ(loader_slice(1), (Slice{0, 1}));
  EXPECT_EQ(loader_slice(2), (Slice{1, 1}));
  EXPECT_EQ(loader_slice(7), (Slice{6, 1}));
  EXPECT_EQ(loader_slice(16), (Slice{12, 4}));
}

TEST(DeviceShape, CountsProcessorsWhereTheLastAtomIsLarger) {
  const DeviceShape shape{.name = "cuda:0", .processors = {8, 8, 8, 12}, .ladder = aligned_ladder(4), .loader = {3, 1}};
  EXPECT_EQ(shape.atoms(), 4);
  EXPECT_EQ(shape.processors_in({0, 2}), 16);
  EXPECT_EQ(shape.processors_in(shape.whole()), 36);
  EXPECT_DEATH(static_cast<void>(shape.processors_in({3, 2})), "check failed");
}

}  // namespace
}  // namespace tessera
