// Who goes first: models that miss more than the others, as long as it helps.
#include "sched/balance.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

using sched::Balance;

TEST(Balance, WhoMissesMoreThanTheOthersGoesSooner) {
  EXPECT_EQ(Balance::part(0.01, 0.01), 0);
  EXPECT_GT(Balance::part(0.012, 0.01), 0);
  EXPECT_LT(Balance::part(0.008, 0.01), 0);
  EXPECT_GT(Balance::part(0.014, 0.01), Balance::part(0.012, 0.01));
}

TEST(Balance, ByAPartOfTheObjectiveAtMost) {
  EXPECT_LE(Balance::part(0.05, 0), 0.5);
  EXPECT_GE(Balance::part(0, 0.05), -0.5);
}

TEST(Balance, NobodyPaysForOneThatIsBeyondHelp) {
  EXPECT_EQ(Balance::part(0.2, 0.01), 0);
  EXPECT_EQ(Balance::part(1, 0.3), 0);
}

bool in_time(const Fate& fate, Duration slo) { return fate.ended && *fate.ended - fate.arrival <= slo; }

// Two models whose objectives leave them unlike room share an atom, near what it carries.
TEST(Balance, MissesAreSharedByThoseWhoCompete) {
  World::Options options;
  options.noise = 0.03;
  World w(device_of(1), options);
  auto tight = model("tight", 1);
  tight.slo = 13ms;
  auto wide = model("wide", 1);
  wide.slo = 17ms;
  const InstanceId first = w.add_model(tight, Truth{.per_row = 3ms});
  const InstanceId second = w.add_model(wide, Truth{.per_row = 3ms});
  std::mt19937_64 random(5);
  std::exponential_distribution<double> gap(200);  // 0.6 of the atom
  TimePoint next[2] = {at(0ms), at(0ms)};
  std::vector<RequestId> asked[2];
  for (int i = 0; i < 20'000; ++i) {
    const int which = next[0] <= next[1] ? 0 : 1;
    w.run_until(next[which]);
    asked[which].push_back(w.request(which == 0 ? first : second));
    next[which] += Duration(static_cast<Duration::rep>(gap(random) * 2e9));
  }
  w.run_to_rest();
  const auto missed = [&](int which) {
    std::size_t misses = 0;
    for (const RequestId id : asked[which]) {
      misses += in_time(w.fate(id), which == 0 ? 13ms : 17ms) ? 0 : 1;
    }
    return static_cast<double>(misses) / static_cast<double>(asked[which].size());
  };
  EXPECT_GT(missed(0), 0) << "it is not so easy";
  EXPECT_LT(missed(0), 2 * missed(1) + 0.002);
}

}  // namespace
}  // namespace tessera::testing
