// Measuring rules against values that others published or that can be computed by hand.
#include "loadgen/measure.h"

#include <gtest/gtest.h>

#include <array>

namespace tessera::loadgen {
namespace {

using namespace std::chrono_literals;

TEST(Measure, EarlyStoppingCountsAreThoseOfMlperf) {
  EXPECT_EQ(early_stopping_requests(0, 0.99), 459U);  // 0.99^459 <= 0.01 < 0.99^458
  EXPECT_EQ(early_stopping_requests(1, 0.99), 662U);  // its multi-stream minimum
  EXPECT_EQ(early_stopping_requests(1, 0.90), 64U);   // its single-stream minimum
  EXPECT_EQ(early_stopping_requests(0, 0.90), 44U);
  // Many: close to over / 0.01 with a margin that shrinks.
  EXPECT_GT(early_stopping_requests(2000, 0.99), 200'000U);
  EXPECT_LT(early_stopping_requests(2000, 0.99), 212'000U);
}

TEST(Measure, AttainmentCountsWhatWasOfferedAndNotWhatWasAnswered) {
  Tally tally;
  for (int i = 0; i < 10; ++i) {
    tally.offered();
  }
  for (int i = 0; i < 6; ++i) {
    tally.answered(10ms, 10ms);
  }
  tally.answered(11ms, 10ms);
  tally.rejected();
  EXPECT_DOUBLE_EQ(tally.attainment(), 0.6);
  EXPECT_EQ(tally.answered_count(), 7U);
  EXPECT_EQ(tally.rejected_count(), 1U);
  EXPECT_GE(tally.quantile(0.99), 11ms);
  EXPECT_LE(tally.quantile(0.99), 11ms * 1.04);
  Tally other;
  other.offered();
  other.answered(1s, std::nullopt);
  other.merge(tally);
  EXPECT_EQ(other.offered_count(), 11U);
  EXPECT_EQ(other.met_count(), 7U);
  EXPECT_DOUBLE_EQ(Tally().attainment(), 1.0);
}

TEST(Measure, WilsonsInterval) {
  const Interval half = wilson(50, 100);  // as tabulated: 0.4038 to 0.5962
  EXPECT_NEAR(half.low, 0.4038, 1e-4);
  EXPECT_NEAR(half.high, 0.5962, 1e-4);
  EXPECT_NEAR(wilson(100, 100).low, 0.9630, 1e-4);
  EXPECT_NEAR(wilson(100, 100).high, 1.0, 1e-12);
  EXPECT_EQ(wilson(0, 0).low, 0.0);
}

TEST(Measure, JainsIndex) {
  EXPECT_DOUBLE_EQ(jain_index(std::array{2.0, 2.0, 2.0}), 1.0);
  EXPECT_DOUBLE_EQ(jain_index(std::array{1.0, 0.0, 0.0, 0.0}), 0.25);
  EXPECT_DOUBLE_EQ(jain_index(std::array{1.0, 3.0}), 0.8);
  EXPECT_DOUBLE_EQ(jain_index({}), 1.0);
}

}  // namespace
}  // namespace tessera::loadgen
