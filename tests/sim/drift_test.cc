// A model that suddenly takes longer than it ever did, among others on a device that is well used.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/support/cells.h"
#include "tests/support/figure.h"

namespace tessera::testing {
namespace {

constexpr Duration kBefore = 5s;  // until it slows down
constexpr Duration kLength = 15s;
constexpr double kLoad = 0.8;
constexpr double kSlower = 1.5;

struct Windows {  // of a second, in which less than 99 % were in time
  int before = 0;
  int after = 0;        // of all requests together
  int after_worst = 0;  // of the tenant that has most of them
  double lowest = 1;
};

Windows drifted(const Cell& cell, double capacity, std::size_t which) {
  World::Options options = World::with_policy("tessera");
  options.noise = cell.noise;
  options.seed = cell.seed;
  World w(cell.device, options);
  const std::vector<InstanceId> ids = fill(w, cell, kLoad * capacity, kLength);
  w.later(at(kBefore), [&] { w.truth(ids[which]).slowdown = kSlower; });
  w.run_to_rest();
  w.expect_all_ended();
  Windows windows;
  std::vector<int> by_tenant(ids.size(), 0);
  for (Duration from = 1s; from < kLength; from += 1s) {
    World::Score all;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const World::Score score = w.score(ids[i], at(from), at(from + 1s));
      all.offered += score.offered;
      all.met += score.met;
      by_tenant[i] += from >= kBefore && score.attainment() < 0.99 ? 1 : 0;
    }
    (from < kBefore ? windows.before : windows.after) += all.attainment() < 0.99 ? 1 : 0;
    windows.lowest = std::min(windows.lowest, all.attainment());
  }
  windows.after_worst = *std::max_element(by_tenant.begin(), by_tenant.end());
  return windows;
}

TEST(Drift, CostsOneSecondAtMost) {
  double lowest = 1;
  // At 99 % attainment of every tenant, searched with other seeds.
  for (const auto& [tenants, capacity] : {std::pair(4, 8139.0), {8, 8139.0}}) {
    for (const std::size_t which : {0U, 1U, 3U}) {
      for (const std::uint64_t seed : seeds(3)) {
        const Cell cell{.device = gpu(), .tenants = gpu_mix(tenants), .slo_factor = 10, .seed = seed};
        const Windows windows = drifted(cell, capacity, which);
        EXPECT_EQ(windows.before, 0) << "the cell would prove nothing";
        EXPECT_LE(windows.after, 1) << cell.tenants[which].name << " of " << tenants << ", seed " << seed
                                    << ": the lowest is " << windows.lowest;
        lowest = std::min(lowest, windows.lowest);
        std::printf("%d tenants, %s, seed %d: %d windows, of the worst tenant %d, lowest %.4f\n", tenants,
                    cell.tenants[which].name, static_cast<int>(seed), windows.after, windows.after_worst,
                    windows.lowest);
      }
    }
  }
  test_support::figure("drift_lowest_second_percent", std::to_string(100 * lowest));
}

}  // namespace
}  // namespace tessera::testing
