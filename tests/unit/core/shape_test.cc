#include "core/shape.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace tessera {
namespace {

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

TEST(Shape, CountsElements) {
  EXPECT_EQ(Shape().elements(), 1);
  EXPECT_EQ((Shape{3, 4, 5}).elements(), 60);
  EXPECT_EQ((Shape{3, 0, 5}).elements(), 0);
  EXPECT_EQ((Shape{kHuge}).elements(), kHuge);
}

TEST(Shape, SaysNothingForNegativeOrOverflowing) {
  EXPECT_EQ((Shape{-1}).elements(), std::nullopt);
  EXPECT_EQ((Shape{0, -1}).elements(), std::nullopt);
  EXPECT_EQ((Shape{kHuge, 2}).elements(), std::nullopt);
  EXPECT_EQ((Shape{1LL << 32, 1LL << 32}).elements(), std::nullopt);
  EXPECT_EQ((Shape{kHuge, kHuge, 0}).elements(), std::nullopt);
  EXPECT_EQ((Shape{std::numeric_limits<std::int64_t>::min()}).elements(), std::nullopt);
}

TEST(Shape, AgreesWithDivisionOnRandomDimensions) {
  const std::uint64_t seed = 7;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    Shape shape;
    std::int64_t exact = 1;
    bool over = false;
    const auto rank = random() % 5;
    for (std::size_t i = 0; i < rank; ++i) {
      const auto dim = static_cast<std::int64_t>((random() >> (random() % 63)) & kHuge) | 1;
      shape.push_back(dim);
      over = over || exact > kHuge / dim;
      exact = over ? 0 : exact * dim;
    }
    const auto counted = shape.elements();
    ASSERT_EQ(counted.has_value(), !over) << shape.to_string();
    if (counted) {
      ASSERT_EQ(*counted, exact) << shape.to_string();
    }
  }
}

TEST(Shape, RanksHaveALimit) {
  const std::vector<std::int64_t> longest(Shape::kMaxRank, 1);
  EXPECT_TRUE(Shape::from(longest).ok());
  const std::vector<std::int64_t> too_long(Shape::kMaxRank + 1, 1);
  const auto refused = Shape::from(too_long);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidArgument);
  Shape full = *Shape::from(longest);
  EXPECT_DEATH(full.push_back(1), "check failed");
}

TEST(Shape, BatchDimensionComesAndGoes) {
  const Shape row{3, 224, 224};
  EXPECT_EQ(row.with_first(8), (Shape{8, 3, 224, 224}));
  EXPECT_EQ(row.with_first(8).without_first(), row);
  EXPECT_EQ((Shape{8}).without_first(), Shape());
  EXPECT_FALSE(row == row.with_first(1));
}

TEST(Shape, MinusOneInAPatternMatchesAnything) {
  EXPECT_TRUE((Shape{4, 16}).matches({-1, 16}));
  EXPECT_FALSE((Shape{4, 17}).matches({-1, 16}));
  EXPECT_FALSE((Shape{4}).matches({-1, 16}));
  EXPECT_FALSE((Shape{4, 16, 1}).matches({-1, 16}));
  EXPECT_TRUE(Shape().matches({}));
}

TEST(Shape, IsWrittenInBrackets) {
  EXPECT_EQ(Shape().to_string(), "[]");
  EXPECT_EQ((Shape{1, -1, 16}).to_string(), "[1,-1,16]");
}

}  // namespace
}  // namespace tessera
