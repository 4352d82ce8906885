// What tests of isolation do on a real card, on one in memory: that no pair of slices is left out.
#include "tests/support/cuda/neighbours.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/cuda/fake_cuda.h"
#include "tests/support/cuda/fake_probe_kernels.h"
#include "tests/support/cuda/lane_pair.h"

namespace tessera::device::contract {
namespace {

class NeighboursOnFakeTest : public testing::Test {
 protected:
  NeighboursOnFakeTest() {
    test::add_probe_kernels(cuda_);
    kit_ = *CardKit::make(driver_);
  }

  std::set<std::pair<Slice, Slice>> disjoint_pairs() const {
    std::set<std::pair<Slice, Slice>> pairs;
    for (const Slice& hog : kit_->shape().ladder) {
      for (const Slice& ping : kit_->shape().ladder) {
        if (hog.end() <= ping.first || ping.end() <= hog.first) {
          pairs.emplace(hog, ping);
        }
      }
    }
    return pairs;
  }

  test::FakeCuda cuda_;
  const Driver driver_ = test::FakeCuda::table();
  std::unique_ptr<CardKit> kit_;
};

TEST_F(NeighboursOnFakeTest, EveryDisjointPairIsMeasuredOnce) {
  std::set<std::pair<Slice, Slice>> told;
  const auto pairs = ping_beside_hogs(*kit_, {.pings = 1, .awaited = 0, .busy = std::chrono::microseconds(0)},
                                      [&](const PairTimes& pair) { told.emplace(pair.hog, pair.ping); });
  EXPECT_EQ(told, disjoint_pairs());
  EXPECT_EQ(pairs.size(), told.size());
  for (const PairTimes& pair : pairs) {
    EXPECT_GT(pair.alone_us, 0);
    EXPECT_LT(pair.beside_us, 5e6) << to_string(pair);
  }
}

TEST_F(NeighboursOnFakeTest, WhatWaitsIsQueuedBehindTheHog) {
  cuda_.forget_calls();
  const auto pairs =
      ping_beside_hogs(*kit_, {.pings = 1, .awaited = 16, .busy = std::chrono::microseconds(0), .suspect = 1e9});
  EXPECT_EQ(pairs.size(), disjoint_pairs().size());
  EXPECT_EQ(cuda_.count("cuStreamWaitEvent"), 16 * pairs.size());
}

TEST_F(NeighboursOnFakeTest, WhatIsSuspectIsMeasuredThreeTimes) {
  const auto pairs =
      ping_beside_hogs(*kit_, {.pings = 1, .awaited = 0, .busy = std::chrono::microseconds(0), .suspect = 0});
  EXPECT_EQ(pairs.size(), disjoint_pairs().size());
  for (const PairTimes& pair : pairs) {
    EXPECT_EQ(pair.times, 3) << to_string(pair);
  }
}

// What the driver in memory can show of confinement: the nodes' contexts.
TEST_F(NeighboursOnFakeTest, AHoldReachesAllOfItsSliceAndEndsWhenOpened) {
  const Hold hold = kit_->make_hold({0, 2});
  kit_->start(hold, kit_->stream(0));
  EXPECT_FALSE(kit_->ends(kit_->stream(0), std::chrono::milliseconds(5)));
  CardKit::open(hold);
  EXPECT_TRUE(kit_->ends(kit_->stream(0), CardKit::kLong));
}

TEST_F(NeighboursOnFakeTest, LanesApartAnswerEachTheirOwn) {
  LanePair pair(*kit_, false);
  EXPECT_TRUE(pair.audit(0).ok());
  EXPECT_TRUE(pair.audit(1).ok());
  EXPECT_EQ(pair.wrong_of_two(1), 0);
}

TEST_F(NeighboursOnFakeTest, AliasedLanesAreCaughtByTheAuditAndByTheirAnswers) {
  LanePair pair(*kit_, true);
  EXPECT_FALSE(pair.audit(1).ok());
  EXPECT_EQ(pair.wrong_of_two(1), 1);
}

}  // namespace
}  // namespace tessera::device::contract
