#include "base/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace tessera {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

TEST(Histogram, IsZeroWhenEmpty) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.quantile(0.5), Duration::zero());
  EXPECT_EQ(histogram.count_up_to(hours(1)), 0U);
}

TEST(Histogram, ShortDurationsAreExact) {
  Histogram histogram;
  for (int ns = 0; ns < 32; ++ns) {
    histogram.record(nanoseconds(ns));
  }
  for (int ns = 0; ns < 32; ++ns) {
    EXPECT_EQ(histogram.quantile((ns + 1) / 32.0), nanoseconds(ns));
  }
}

TEST(Histogram, AQuantileIsTheUpperEdgeOfItsBucketWithinThreePercent) {
  for (Duration value = nanoseconds(32); value < hours(1) / 4; value = value * 10 / 7) {
    Histogram histogram;
    histogram.record(value);
    const Duration shown = histogram.quantile(1.0);
    EXPECT_GE(shown, value);
    EXPECT_LE(shown.count(), static_cast<double>(value.count()) * (1 + 1.0 / 32));
  }
}

TEST(Histogram, CountsNegativeAsZeroAndVeryLongAsTheLastBucket) {
  Histogram histogram;
  histogram.record(nanoseconds(-5));
  EXPECT_EQ(histogram.quantile(1.0), Duration::zero());
  histogram.record(hours(10));
  histogram.record(Duration::max() / 2);
  EXPECT_EQ(histogram.count(), 3U);
  EXPECT_EQ(histogram.quantile(1.0), nanoseconds((1LL << Histogram::kMaxBits) - 1));
}

TEST(Histogram, QuantilesAgreeWithASortedListOfRandomValues) {
  const std::uint64_t seed = 20260701;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> latency(13.0, 1.5);
  Histogram histogram;
  std::vector<Duration> values;
  for (int i = 0; i < 20'000; ++i) {
    values.emplace_back(static_cast<Duration::rep>(latency(random)));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double q : {0.001, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size())));
    const Duration exact = values[rank - 1];
    EXPECT_GE(histogram.quantile(q), exact) << q;
    EXPECT_LE(histogram.quantile(q).count(), static_cast<double>(exact.count()) * (1 + 1.0 / 32) + 1) << q;
  }
}

TEST(Histogram, MergingIsTheSameAsRecordingIntoOne) {
  Histogram left;
  Histogram right;
  Histogram both;
  for (int i = 1; i <= 1000; ++i) {
    const Duration value = microseconds(i * i);
    (i % 3 == 0 ? left : right).record(value);
    both.record(value);
  }
  left.merge(right);
  EXPECT_EQ(left.count(), both.count());
  EXPECT_EQ(left.sum(), both.sum());
  for (const double q : {0.1, 0.5, 0.99}) {
    EXPECT_EQ(left.quantile(q), both.quantile(q));
  }
}

TEST(Histogram, CountUpToGrowsWithItsLimitAndNeverCountsLongerValues) {
  Histogram histogram;
  for (int i = 1; i <= 100; ++i) {
    histogram.record(milliseconds(i));
  }
  std::uint64_t before = 0;
  for (int limit = 0; limit <= 120; ++limit) {
    const std::uint64_t counted = histogram.count_up_to(milliseconds(limit));
    EXPECT_GE(counted, before);
    EXPECT_LE(counted, static_cast<std::uint64_t>(std::min(limit, 100)));
    before = counted;
  }
  EXPECT_EQ(histogram.count_up_to(milliseconds(104)), 100U);
  EXPECT_EQ(histogram.count_up_to(nanoseconds(-1)), 0U);
}

TEST(Histogram, IsTheSameFromCountsKeptElsewhere) {
  Histogram recorded;
  std::vector<std::uint64_t> counts(Histogram::kBuckets);
  for (const Duration value : {Duration(nanoseconds(3)), Duration(microseconds(70)), Duration(hours(2))}) {
    recorded.record(value);
    ++counts[static_cast<std::size_t>(Histogram::bucket_of(value))];
  }
  const Histogram made(counts, recorded.sum());
  EXPECT_EQ(made.count(), 3U);
  for (const double q : {0.1, 0.5, 1.0}) {
    EXPECT_EQ(made.quantile(q), recorded.quantile(q));
  }
}

}  // namespace
}  // namespace tessera
