// Arrival processes: their rate, their spread, and that a seed is a sequence.
#include "loadgen/arrivals.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "loadgen/random.h"

namespace tessera::loadgen {
namespace {

using namespace std::chrono_literals;

struct Gaps {
  double rate = 0;
  double variation = 0;   // deviation of the gaps over their mean
  double dispersion = 0;  // variance of the counts in 100 ms over their mean
};

Gaps measure(const Process& process, double per_second, int count, std::uint64_t seed = 1) {
  auto arrivals = make_arrivals(process, per_second, seed);
  std::vector<double> bins;
  double last = 0;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < count; ++i) {
    const double at = std::chrono::duration<double>(arrivals->next().at).count();
    EXPECT_GE(at, last);
    sum += at - last;
    squares += (at - last) * (at - last);
    last = at;
    bins.resize(std::max(bins.size(), static_cast<std::size_t>(at * 10) + 1));
    bins[static_cast<std::size_t>(at * 10)] += 1;
  }
  const double mean = sum / count;
  const double in_bin = count / static_cast<double>(bins.size());
  double spread = 0;
  for (const double bin : bins) {
    spread += (bin - in_bin) * (bin - in_bin);
  }
  return {1 / mean, std::sqrt(squares / count - mean * mean) / mean,
          spread / static_cast<double>(bins.size()) / in_bin};
}

TEST(Arrivals, PoissonHasTheRateAndGapsThatVaryAsMuchAsTheyLast) {
  const Gaps gaps = measure(Poisson{}, 400, 200'000);
  EXPECT_NEAR(gaps.rate, 400, 4);
  EXPECT_NEAR(gaps.variation, 1, 0.01);
  EXPECT_NEAR(gaps.dispersion, 1, 0.1);
}

TEST(Arrivals, GammaVariesAsItsShapeSays) {
  for (const double shape : {0.1, 0.25, 1.0, 4.0}) {
    const Gaps gaps = measure(Gamma{shape}, 400, 400'000);
    EXPECT_NEAR(gaps.rate / 400, 1, 0.02) << shape;
    EXPECT_NEAR(gaps.variation * std::sqrt(shape), 1, 0.03) << shape;
  }
}

TEST(Arrivals, OnOffKeepsTheRateOverAll) {
  const Gaps gaps = measure(OnOff{100ms, 300ms}, 400, 400'000);
  EXPECT_NEAR(gaps.rate, 400, 12);
  EXPECT_GT(gaps.dispersion, 20);
}

TEST(Arrivals, ADayHasItsHeightAQuarterIn) {
  auto arrivals = make_arrivals(Diurnal{10s, 0.8, 0}, 1000, 3);
  int high = 0;
  int low = 0;
  int all = 0;
  for (Duration at = arrivals->next().at; at < 10s; at = arrivals->next().at) {
    high += at > 2s && at < 3s ? 1 : 0;
    low += at > 7s && at < 8s ? 1 : 0;
    ++all;
  }
  EXPECT_NEAR(all, 10'000, 400);
  EXPECT_NEAR(high, 1787, 150);  // mean of 1 + 0.8 sin over that tenth: 1.787
  EXPECT_NEAR(low, 213, 60);
}

TEST(Arrivals, ConstantGapsBeginAtTheirPhase) {
  auto arrivals = make_arrivals(Constant{0.25, 0}, 100, 1);
  EXPECT_EQ(arrivals->next().at, 2500us);
  EXPECT_EQ(arrivals->next().at, 12500us);
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    const Duration first = make_arrivals(Constant{}, 100, seed)->next().at;
    EXPECT_GE(first, 0ms);
    EXPECT_LT(first, 10ms);
  }
}

TEST(Arrivals, ATraceIsStretchedAndBeginsAnew) {
  auto list = std::make_shared<std::vector<ScheduledArrival>>();
  *list = {{500ms, 1}, {1s, 3}};
  const Trace trace{list, 2s};
  EXPECT_DOUBLE_EQ(trace.per_second(), 1);
  auto arrivals = make_arrivals(trace, 2, 1);
  EXPECT_EQ(arrivals->next().at, 250ms);
  const ScheduledArrival second = arrivals->next();
  EXPECT_EQ(second.at, 500ms);
  EXPECT_EQ(second.rows, 3);
  EXPECT_EQ(arrivals->next().at, 1250ms);
}

TEST(Arrivals, ASeedIsASequence) {
  const std::vector<Process> all = {Poisson{}, Gamma{0.5}, OnOff{}, Diurnal{}, Constant{}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto one = make_arrivals(all[i], 50, 7);
    auto same = make_arrivals(all[i], 50, 7);
    auto other = make_arrivals(all[i], 50, 8);
    bool differs = false;
    for (int n = 0; n < 100; ++n) {
      const Duration at = one->next().at;
      EXPECT_EQ(at, same->next().at) << "process " << i;
      differs = differs || at != other->next().at;
    }
    EXPECT_TRUE(differs) << "process " << i;
  }
  EXPECT_NE(seed_of(1, 0), seed_of(1, 1));
  EXPECT_NE(seed_of(1, 1), seed_of(2, 0));
}

TEST(Random, IsTheSameWithEveryLibrary) {
  // The generator's tenth thousandth number is in the standard; the rest is arithmetic on top of it.
  Random random(5489);
  double last = 0;
  for (int i = 0; i < 10'000; ++i) {
    last = random.uniform();
  }
  EXPECT_DOUBLE_EQ(last, (static_cast<double>(9981545732273789042ULL >> 11U) + 0.5) / 9007199254740992.0);
}

}  // namespace
}  // namespace tessera::loadgen
