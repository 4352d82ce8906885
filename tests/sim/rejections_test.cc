// Early rejections are right: who is turned away before its deadline could not have been served, by what the device did
// in the end.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/support/cells.h"
#include "tests/support/figure.h"
#include "tests/support/rejections.h"

namespace tessera::testing {
namespace {

EarlyRejections played(const char* policy, const Cell& cell, double rate) {
  World::Options options = World::with_policy(policy);
  options.noise = cell.noise;
  options.seed = cell.seed;
  World w(cell.device, options);
  fill(w, cell, rate, 2s);
  w.run_to_rest();
  w.expect_all_ended();
  return early_rejections(w);
}

std::string percent(double share) {
  char text[16];
  std::snprintf(text, sizeof text, "%.2f", 100 * share);
  return text;
}

struct Mix {
  int tenants;
  double slo_factor;
  double capacity;  // at 99 % attainment of every tenant, searched with other seeds
};

TEST(EarlyRejections, AreOfRequestsThatNoGapCouldHaveServed) {
  EarlyRejections all;
  for (const Mix mix : {Mix{4, 10, 8139}, Mix{8, 5, 5310}, Mix{8, 10, 8139}, Mix{16, 20, 10076}}) {
    for (const double load : kSanitized ? std::vector{1.1} : std::vector{0.9, 1.1, 1.5, 3.0}) {
      EarlyRejections sum;
      for (const std::uint64_t seed : seeds(3)) {
        const Cell cell{.device = gpu(), .tenants = gpu_mix(mix.tenants), .slo_factor = mix.slo_factor, .seed = seed};
        sum += played("tessera", cell, load * mix.capacity);
      }
      EXPECT_GE(sum.right(), 0.98) << mix.tenants << " tenants, objective x" << mix.slo_factor << ", load " << load
                                   << ": " << sum.wrong << " of " << sum.all << " wrong";
      all += sum;
    }
  }
  test_support::figure("early_rejections", std::to_string(all.all));
  test_support::figure("early_rejections_right_percent", percent(all.right()));
  test_support::figure("early_rejections_not_missed_percent", percent(all.not_missed()));
  EXPECT_GT(all.all, kSanitized ? 1'000U : 100'000U);
}

// What a policy turns away that keeps models in slices of their own, others often could have served.
TEST(EarlyRejections, OfAPolicyThatLeavesAtomsIdleAreFoundWrong) {
  World::Options options = World::with_policy("fixed");
  World w(device_of(8), options);
  auto params = model("busy", 1);
  params.slo = 30ms;
  params.lanes = 4;
  const InstanceId busy = w.add_model(params, {.fixed = 1ms, .per_row = 40ms});
  params.name = "idle";
  w.add_model(params, {.fixed = 1ms, .per_row = 40ms});
  w.poisson(busy, 300, at(2s), 1);  // 90 a second in its half
  w.run_to_rest();
  w.expect_all_ended();
  const EarlyRejections found = early_rejections(w);
  EXPECT_GT(found.all, 100U);
  EXPECT_LT(found.right(), 0.5);
}

}  // namespace
}  // namespace tessera::testing
