// How many homes a card may have.
#include "apps/devices.h"

#include <gtest/gtest.h>

namespace tessera::apps {
namespace {

constexpr Bytes gigabytes(std::uint64_t number) { return {number * 1'000'000'000}; }

TEST(HomesIn, AreAsManyAsTheCardsAndTheHostsMemoryPermit) {
  EXPECT_EQ(homes_in(gigabytes(141), gigabytes(1000), 1, 1), 8192U) << "the most";
  EXPECT_EQ(homes_in(gigabytes(80), gigabytes(1000), 1, 1), 7142U) << "a sixteenth of the card, 0.7 MB each";
  EXPECT_EQ(homes_in(gigabytes(141), gigabytes(64), 1, 1), 4000U) << "a fourth of the host, 4 MB each";
  EXPECT_EQ(homes_in(gigabytes(141), gigabytes(64), 4, 1), 1000U) << "which the cards share";
  EXPECT_EQ(homes_in(gigabytes(141), gigabytes(64), 1, 2), 2000U) << "as the parts of one do";
  EXPECT_EQ(homes_in(gigabytes(4), gigabytes(4), 1, 4), 128U) << "the fewest";
}

}  // namespace
}  // namespace tessera::apps
