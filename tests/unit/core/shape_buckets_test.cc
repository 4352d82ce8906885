#include "core/shape_buckets.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <random>

namespace tessera {
namespace {

template <typename T>
std::vector<T> filled(DType dtype, double value) {
  std::vector<T> out(3);
  fill_with(dtype, value, std::as_writable_bytes(std::span(out)));
  return out;
}

TEST(FillWithTest, EveryTypeHoldsTheValue) {
  EXPECT_EQ(filled<float>(DType::kFp32, -1.5), std::vector<float>(3, -1.5F));
  EXPECT_EQ(filled<double>(DType::kFp64, 0.1), std::vector<double>(3, 0.1));
  EXPECT_EQ(filled<std::int64_t>(DType::kInt64, -7), std::vector<std::int64_t>(3, -7));
  EXPECT_EQ(filled<std::int8_t>(DType::kInt8, -7), std::vector<std::int8_t>(3, -7));
  EXPECT_EQ(filled<std::uint8_t>(DType::kUint8, 255), std::vector<std::uint8_t>(3, 255));
  EXPECT_EQ(filled<std::uint16_t>(DType::kBf16, 1), std::vector<std::uint16_t>(3, 0x3F80));
}

TEST(FillWithTest, HalvesAreTheNearest) {
  const std::vector<std::pair<double, std::uint16_t>> known{{0, 0},
                                                            {1, 0x3C00},
                                                            {-2, 0xC000},
                                                            {0.5, 0x3800},
                                                            {65504, 0x7BFF},
                                                            {65519, 0x7BFF},
                                                            {65520, 0x7C00},
                                                            {1.0 / 16384, 0x0400},
                                                            {0x1p-24, 0x0001},
                                                            {0x1p-26, 0},
                                                            {1 + 0x1p-10, 0x3C01},
                                                            {1 + 0x1p-11, 0x3C00},
                                                            {1 + 3 * 0x1p-11, 0x3C02},
                                                            {2047.4, 0x67FF},
                                                            {2047.99, 0x6800},
                                                            {-0.1, 0xAE66}};
  for (const auto& [value, bits] : known) {
    EXPECT_EQ(filled<std::uint16_t>(DType::kFp16, value).front(), bits) << value;
  }
}

// Against a walk over all places.
TEST(CopyCommonTest, ElementsKeepTheirPlaces) {
  std::mt19937 random(4);
  for (int round = 0; round < 500; ++round) {
    const std::size_t rank = 1 + random() % 4;
    Shape from;
    Shape to;
    for (std::size_t i = 0; i < rank; ++i) {
      from.push_back(static_cast<std::int64_t>(random() % 5));
      to.push_back(random() % 2 == 0 ? from[i] : static_cast<std::int64_t>(random() % 6));
    }
    std::vector<std::int32_t> source(static_cast<std::size_t>(*from.elements()));
    std::iota(source.begin(), source.end(), 1);
    std::vector<std::int32_t> target(static_cast<std::size_t>(*to.elements()), -1);
    std::vector<std::int32_t> expected = target;
    for (std::size_t at = 0; at < source.size(); ++at) {
      std::size_t rest = at;
      std::vector<std::int64_t> place(rank);
      for (std::size_t i = rank; i-- > 0;) {
        place[i] = static_cast<std::int64_t>(rest) % from[i];
        rest /= static_cast<std::size_t>(from[i]);
      }
      std::size_t there = 0;
      bool inside = true;
      for (std::size_t i = 0; i < rank; ++i) {
        inside = inside && place[i] < to[i];
        there = there * static_cast<std::size_t>(to[i]) + static_cast<std::size_t>(place[i]);
      }
      if (inside) {
        expected[there] = source[at];
      }
    }
    copy_common({DType::kInt32, from, std::as_bytes(std::span<const std::int32_t>(source))}, to,
                std::as_writable_bytes(std::span(target)));
    ASSERT_EQ(target, expected) << from.to_string() << " to " << to.to_string();
  }
}

TEST(ShapeBucketsTest, SizesAndCombinations) {
  const ShapeBuckets buckets{{{"a", {2, 4}}, {"b", {8}}}, {{0, 1, 0}}, {}, {0}};
  EXPECT_EQ(buckets.size_for(0, 0), 2);
  EXPECT_EQ(buckets.size_for(0, 3), 4);
  EXPECT_EQ(buckets.size_for(0, 4), 4);
  EXPECT_FALSE(buckets.size_for(0, 5).has_value());
  EXPECT_EQ(buckets.combinations(), (std::vector<std::vector<std::int64_t>>{{4, 8}, {2, 8}}));
  EXPECT_EQ(with_sizes({7, 3, -1}, buckets.inputs, 0, std::vector<std::int64_t>{4, 8}, 1), (Shape{7, 3, 4}));
  EXPECT_EQ(with_sizes({7, 3, -1}, buckets.inputs, 1, std::vector<std::int64_t>{4, 8}, 1), (Shape{7, 3, -1}));
}

}  // namespace
}  // namespace tessera
