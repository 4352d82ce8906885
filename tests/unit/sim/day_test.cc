// The day of a large cluster in small: whole nodes with as many models a device, at the same part of what they carry.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "sim/tenants.h"
#include "tests/support/scenarios.h"

namespace tessera::sim {
namespace {

constexpr std::size_t kDevices = 24;

DeviceProfile h200() {
  auto profiles = parse_profiles(source("bench/profiles/h200.json"), "h200.json");
  EXPECT_TRUE(profiles.ok()) << profiles.error().message();
  return profiles->at("h200");
}

TEST(ClusterDay, InSmallIsServedInTime) {
  Scenario day = scenario_of(h200(), source("bench/workloads/cluster_day.json"));
  const std::size_t all = day.workload.tenants.size();
  ASSERT_EQ(all, 5000U);
  ASSERT_TRUE(day.workload.total_rate);
  // Of each model as many as a 1,000 devices have for 24.
  std::vector<loadgen::TenantSpec> some;
  for (std::size_t i = 0; i < all; ++i) {
    if (i % 125 < 3) {
      some.push_back(day.workload.tenants[i]);
    }
  }
  day.workload.tenants = some;
  const auto tenants = day.tenants(*day.workload.total_rate * kDevices / 1000, {});
  ASSERT_TRUE(tenants.ok());
  ClusterOptions options;
  options.devices = kDevices;
  options.warm_up = 0s;
  options.length = 2600ms;
  const Outcome outcome = play(day.device, *tenants, options);
  loadgen::Tally sum;
  for (const auto& tenant : outcome.tenants) {
    sum.merge(tenant.tally);
  }
  EXPECT_GE(outcome.requests, 235'000U);
  EXPECT_GE(sum.attainment(), 0.995);
  EXPECT_GE(outcome.worst_attainment(), 0.98);
}

TEST(ClusterDay, ManyTenantsAreOnFewDevicesOfANode) {
  std::vector<double> work(80, 0.05);
  work[7] = 1.8;  // asks for more than one device
  work[8] = 0;    // a closed loop, say
  const auto allowed = devices_for(work, 5000, 8);
  ASSERT_EQ(allowed.size(), work.size());
  std::vector<double> load(8);
  for (std::size_t tenant = 0; tenant < work.size(); ++tenant) {
    const auto devices = std::count(allowed[tenant].begin(), allowed[tenant].end(), true);
    EXPECT_EQ(devices, tenant == 7 ? 4 : 1) << tenant;
    for (std::size_t device = 0; device < 8; ++device) {
      load[device] += allowed[tenant][device] ? work[tenant] / static_cast<double>(devices) : 0;
    }
  }
  EXPECT_LE(*std::max_element(load.begin(), load.end()) - *std::min_element(load.begin(), load.end()), 0.051);
  EXPECT_TRUE(devices_for(work, 64, 8).front().empty());  // few tenants: every device
}

}  // namespace
}  // namespace tessera::sim
