// Bounds: against what can be worked out by hand, what every schedule there is could do, and what policies reach.
#include "sim/bounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "loadgen/arrivals.h"
#include "loadgen/random.h"
#include "sim/scenario.h"

namespace tessera::sim {
namespace {

using namespace std::chrono_literals;

// One model, "m", on atoms of one processor each.
DeviceProfile device_of(std::size_t atoms, std::vector<sched::ProfilePoint> points) {
  DeviceProfile device;
  device.shape.name = "plain";
  device.shape.processors.assign(atoms, 1);
  device.shape.ladder = aligned_ladder(static_cast<int>(atoms));
  device.shape.loader = loader_slice(static_cast<int>(atoms));
  device.models["m"].points = std::move(points);
  return device;
}

std::vector<loadgen::Tenant> tenants_of(const DeviceProfile& device, const std::string& tenants) {
  const std::string text = R"({"name": "w", "source": "s", "tenants": [)" + tenants + "]}";
  auto workload = loadgen::parse_workload(text, "workload", [](const std::string&) { return not_found("none"); });
  EXPECT_TRUE(workload.ok()) << workload.error().message();
  auto out = Scenario{*workload, device}.tenants(1.0, {});
  EXPECT_TRUE(out.ok()) << out.error().message();
  return *out;
}

TEST(Bounds, FractionalIsProcessorTimeOverTheCheapestForm) {
  DeviceProfile device = device_of(2, {{1, 1, 4ms}, {1, 2, 3ms}, {4, 1, 8ms}, {4, 2, 5ms}});
  const auto bound = [&](const std::string& slo) {
    return *fractional_bound(device, 1,
                             tenants_of(device, R"({"model": "m", "rate": 1, "max_batch": 4, )" + slo + "}"));
  };
  EXPECT_NEAR(bound("\"slo_ms\": 1000"), 1000, 1) << "four rows in 8 ms on each of two";
  EXPECT_NEAR(bound("\"slo_ms\": 4"), 500, 1) << "one row in 4 ms on each";
  EXPECT_NEAR(bound("\"slo_ms\": 3.5"), 1000.0 / 3, 1) << "one row in 3 ms on both";
  EXPECT_EQ(bound("\"slo_ms\": 2"), 0);
  device.traits.beside.neighbour = 0.5;
  EXPECT_NEAR(bound("\"slo_ms\": 1000"), 800, 1) << "both: 4 rows in 5 ms beat 8 ms * 1.25 on each";
}

// ---- The bound that knows the arrivals ----

double clairvoyant(const DeviceProfile& device, const std::string& tenant, double attainment = 0.99,
                   std::size_t devices = 1) {
  loadgen::SearchOptions how;
  how.seeds = 2;
  how.attainment = attainment;
  how.least_requests = 4000;
  const auto bound = clairvoyant_bound(device, devices, tenants_of(device, tenant), how, 1);
  EXPECT_TRUE(bound.ok()) << bound.error().message();
  return bound.ok() ? *bound : -1;
}

constexpr const char* kEven = R"("rate": 1, "arrivals": {"process": "constant", "phase": 0.5})";

TEST(Bounds, EvenArrivalsThatNeverShareABatchTakeTheirTime) {
  const DeviceProfile device = device_of(1, {{1, 1, 10ms}});
  const std::string tenant = std::string(R"({"model": "m", "max_batch": 1, "slo_ms": 15, )") + kEven + "}";
  EXPECT_NEAR(clairvoyant(device, tenant, 1.0), 100, 1);
  EXPECT_NEAR(clairvoyant(device, tenant, 0.9), 111, 2) << "each tenth is left out";
  EXPECT_NEAR(clairvoyant(device, tenant, 1.0, 3), 300, 3);
  EXPECT_EQ(clairvoyant(device, std::string(R"({"model": "m", "max_batch": 1, "slo_ms": 9.9, )") + kEven + "}"), 0);
}

TEST(Bounds, WhatArrivesApartSharesABatchOnlyIfTheObjectivePermits) {
  // One row or two in 10 ms. At 180 a second the second of two comes after 5.6 ms.
  const DeviceProfile device = device_of(1, {{1, 1, 10ms}, {2, 1, 10ms}});
  const auto bound = [&](const std::string& slo) {
    return clairvoyant(device, R"({"model": "m", "max_batch": 2, "slo_ms": )" + slo + ", " + kEven + "}", 1.0);
  };
  EXPECT_NEAR(bound("18"), 200, 2) << "8 ms are enough for the other";
  EXPECT_NEAR(bound("14"), 100, 1) << "4 ms are not, until two come within them: at 250 a second, which is too many";
  EXPECT_NEAR(bound("15.1"), 200, 2) << "100 to 196 a second would be too many, 200 are not";
}

TEST(Bounds, BurstsAreCarriedAsFarAsTheObjectiveReaches) {
  const DeviceProfile device = device_of(1, {{1, 1, 1ms}});
  const auto bound = [&](const std::string& slo) {
    return clairvoyant(device, R"({"model": "m", "rate": 1, "max_batch": 1, "slo_ms": )" + slo + "}");
  };
  // M/D/1 with an objective of 10 services, first come first served: 774 a second attain 99 % where requests that are
  // late are served all the same (cluster_test.cc). Knowing which to leave out is worth something, and 1 ms a request
  // is more than 1000 a second for none.
  EXPECT_GT(bound("10"), 800);
  EXPECT_LT(bound("10"), 1010);
  EXPECT_LT(bound("2"), 0.75 * bound("50"));
  EXPECT_LT(bound("50"), 1045) << "a run of 2 s, and what it may do in the 50 ms after it";
}

TEST(Bounds, AreNothingForTenantsThatWaitForNothing) {
  const DeviceProfile device = device_of(1, {{1, 1, 1ms}});
  const auto none =
      clairvoyant_bound(device, 1, tenants_of(device, R"({"model": "m", "rate": 1, "max_batch": 1})"), {}, 1);
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message().find("objective"), std::string::npos);
}

// Whether one processor can serve all of these in time: every way to put them into batches, in their order, which no
// other order beats as their objectives are equal.
bool serves_all(const std::vector<double>& at, double objective, const std::vector<double>& takes) {
  for (std::uint32_t cuts = 0; cuts < (1U << (at.size() - 1)); ++cuts) {
    double now = 0;
    bool all = true;
    for (std::size_t first = 0; first < at.size() && all;) {
      std::size_t last = first;
      while (last + 1 < at.size() && ((cuts >> last) & 1U) == 0) {
        ++last;
      }
      const std::size_t rows = last - first + 1;
      all = rows < takes.size();
      if (all) {
        now = std::max(now, at[last]) + takes[rows];
        all = now <= at[first] + objective + 1e-9;
      }
      first = last + 1;
    }
    if (all) {
      return true;
    }
  }
  return false;
}

// The first `count` arrivals as the bound draws them, and so long a run that it takes no more.
std::vector<double> drawn(double rate, std::uint64_t seed, double until) {
  const auto source = loadgen::make_arrivals(loadgen::Poisson{}, rate, loadgen::seed_of(seed, 0));
  std::vector<double> out;
  for (;;) {
    const double at = std::chrono::duration<double>(source->next().at).count();
    if (at >= until) {
      return out;
    }
    out.push_back(at);
  }
}

TEST(Bounds, NoScheduleExceedsTheOneThatKnowsTheArrivals) {
  loadgen::Random random(7);
  int compared = 0;
  for (std::uint64_t round = 0; round < 60; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const double one = 1 + 4 * random.uniform();
    const double two = one * (1 + 0.8 * random.uniform());
    const double three = two * (1 + 0.4 * random.uniform());
    const double objective = three * (1 + 2 * random.uniform());
    const auto ms = [](double value) { return Duration(std::llround(value * 1e6)); };
    const DeviceProfile device = device_of(1, {{1, 1, ms(one)}, {2, 1, ms(two)}, {3, 1, ms(three)}});
    const auto tenants =
        tenants_of(device, R"({"model": "m", "rate": 1, "max_batch": 3, "slo_ms": )" + std::to_string(objective) + "}");
    loadgen::SearchOptions how;
    how.seeds = 1;
    how.attainment = 1;
    how.least_requests = 9;
    how.precision = 0.002;
    const std::uint64_t seed = 100 + round;
    const auto bound = clairvoyant_bound(device, 1, tenants, how, seed);
    ASSERT_TRUE(bound.ok());
    // The fastest of many rates at which everybody is served. Time only shrinks as the rate grows.
    double carried = 0;
    for (double rate = 10; rate < 1500; rate *= 1.05) {
      const double until = std::chrono::duration<double>(loadgen::run_length(tenants, how, rate)).count();
      const auto at = drawn(rate, seed, until);
      if (!at.empty() && at.size() <= 16 && serves_all(at, objective / 1e3, {0, one / 1e3, two / 1e3, three / 1e3})) {
        carried = rate;
      }
    }
    EXPECT_GE(*bound, carried * 0.995);
    compared += carried > 0 ? 1 : 0;
  }
  EXPECT_GT(compared, 40);
}

TEST(Bounds, NoPolicyExceedsThem) {
  DeviceProfile device =
      device_of(4, {{1, 1, 8ms}, {1, 2, 5ms}, {1, 4, 4ms}, {8, 1, 30ms}, {8, 2, 17ms}, {8, 4, 10ms}});
  device.models["n"].points = {{1, 1, 3ms}, {1, 4, 2ms}, {8, 1, 9ms}, {8, 4, 4ms}};
  device.traits.beside.neighbour = 0.2;
  const std::string text = R"({"name": "w", "source": "s", "total_rate": 1, "tenants": [
      {"model": "m", "share": 1, "max_batch": 8, "slo_factor": 6}, {"model": "n", "share": 3, "max_batch": 8, "slo_factor": 8}]})";
  const Scenario scenario{*loadgen::parse_workload(text, "w", [](const std::string&) { return not_found("none"); }),
                          device};
  loadgen::SearchOptions how;
  how.seeds = 3;
  how.least_requests = 1500;
  ClusterOptions options;
  options.warm_up = Duration{0};
  const auto bound = scenario.clairvoyant_bound(options, how, {});
  ASSERT_TRUE(bound.ok());
  double best = 0;
  for (const char* policy : {"temporal", "dstack", "tessera"}) {
    options.policy = policy;
    const auto capacity = scenario.capacity(options, how, {}, {});
    ASSERT_TRUE(capacity.ok()) << capacity.error().message();
    EXPECT_LE(capacity->rate, *bound * 1.01) << policy;
    best = std::max(best, capacity->rate);
  }
  EXPECT_GT(best, 0.4 * *bound) << "a bound that says something";
}

}  // namespace
}  // namespace tessera::sim
