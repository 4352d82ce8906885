// That nothing in a full slice, and nothing that waits behind it, holds up another slice: every pair of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/gpu/card_fixture.h"
#include "tests/support/cuda/neighbours.h"
#include "tests/support/figure.h"

namespace tessera::device::contract {
namespace {

// Host noise is in both; what a shared queue costs is a multiple.
constexpr double kMostRatio = 1.10;

class NeighboursTest : public CardTest {
 protected:
  void sweep(PingOptions options) {
    options.suspect = kMostRatio;
    auto pairs = ping_beside_hogs(
        *kit_, options, [](const PairTimes& pair) { EXPECT_LE(pair.ratio(), kMostRatio) << to_string(pair); });
    ASSERT_FALSE(pairs.empty());
    std::sort(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.ratio() < b.ratio(); });
    std::string those_over;
    for (const auto& pair : pairs) {
      if (pair.ratio() > kMostRatio) {
        those_over += (those_over.empty() ? "\"" : ",\"") + to_string(pair) + "\"";
      }
    }
    const auto again = std::count_if(pairs.begin(), pairs.end(), [](const auto& p) { return p.times > 1; });
    const auto over = std::count_if(pairs.begin(), pairs.end(), [](const auto& p) { return p.ratio() > kMostRatio; });
    test_support::figure(
        "pings_beside_hogs",
        "{\"pairs\":" + std::to_string(pairs.size()) + ",\"awaited\":" + std::to_string(options.awaited) +
            ",\"median_ratio\":" + std::to_string(std::min(pairs[pairs.size() / 2].ratio(), 1e9)) +
            ",\"worst_ratio\":" + std::to_string(std::min(pairs.back().ratio(), 1e9)) +
            ",\"over_the_bar\":" + std::to_string(over) + ",\"measured_again\":" + std::to_string(again) +
            ",\"worst\":\"" + to_string(pairs.back()) + "\",\"those_over\":[" + those_over + "]}");
  }
};

TEST_F(NeighboursTest, APingTakesNoLongerBesideFullSlices) { sweep({}); }

TEST_F(NeighboursTest, NorWhileSixteenLaunchesWaitForEvents) {
  sweep({.pings = 15, .awaited = 16, .busy = std::chrono::microseconds(30)});
}

}  // namespace
}  // namespace tessera::device::contract
