// What the papers behind the rival policies claim for them, on workloads of their kind: so that a comparison with them
// is one with what they are.
#include <gtest/gtest.h>

#include "tests/support/cells.h"
#include "tests/support/every_policy.h"

namespace tessera::testing {
namespace {

std::set<int> sizes_used(const World& world, InstanceId id, Duration from, Duration until) {
  std::set<int> sizes;
  for (const auto& [request, fate] : world.fates()) {
    if (fate.instance == id && fate.launched && *fate.launched >= at(from) && *fate.launched < at(until)) {
      sizes.insert(fate.slice.count);
    }
  }
  return sizes;
}

// GSLICE: shares settle where each model's objective and rate are just met, and follow a change of rate, while what is
// running goes on.
TEST(Rivals, GsliceSettlesAtTheSharesThatAreNeededAndFollowsARate) {
  World::Options options = World::with_policy("gslice");
  options.noise = 0.03;
  World w(device_of(16), options);
  // 20 ms of work a row: on k atoms 50 * k rows a second; never more than half of that arrives.
  const auto add = [&](const char* name) {
    auto params = model(name, 4);
    params.slo = 120ms;
    return w.add_model(params, Truth{.fixed = 500us, .per_batch = 1ms, .per_row = 20ms});
  };
  const InstanceId small = add("small");
  const InstanceId middle = add("middle");
  const InstanceId changing = add("changing");
  w.poisson(small, 20, at(60s), 1);
  w.poisson(middle, 85, at(60s), 2);
  w.poisson(changing, 20, at(30s), 3);
  w.later(at(30s), [&] { w.poisson(changing, 250, at(60s), 4); });
  w.run_to_rest();
  w.expect_all_ended();
  EXPECT_EQ(sizes_used(w, middle, 20s, 30s), std::set<int>{4})
      << "two atoms answer 100 a second, but not within 120 ms";
  const int before = *sizes_used(w, changing, 20s, 30s).rbegin();
  EXPECT_LE(before, 2);
  EXPECT_LE(*sizes_used(w, small, 20s, 30s).rbegin(), 2);
  EXPECT_EQ(sizes_used(w, changing, 40s, 60s), std::set<int>{8});
  for (const InstanceId id : {small, middle, changing}) {
    EXPECT_GE(w.score(id, at(20s), at(30s)).attainment(), 0.97);
    EXPECT_GE(w.score(id, at(40s), at(60s)).attainment(), 0.97);
  }
  EXPECT_GE(w.score(small, at(30s), at(32s)).attainment(), 0.9) << "somebody else's change costs it little";
}

// Where a model is asked for more than it can do, its share grows to the knee of its latency, from which on a larger
// one makes no run shorter, and no further, though there is room; with a change of rate it leaves the knee, and
// returns.
TEST(Rivals, GsliceSettlesAtItsKneesAndReturnsToThem) {
  World::Options options = World::with_policy("gslice");
  options.noise = 0.01;
  World w(device_of(16), options);
  // 10 ms in any slice, and a part that spreads: twice as many atoms take 3.5 % off from 2, 4 and 8 on, up to there 7.
  const std::map<int, Duration> spreads = {{2, 1450us}, {4, 2900us}, {8, 5800us}};
  std::map<int, InstanceId> by_knee;
  for (const auto& [knee, spread] : spreads) {
    auto params = model("knee" + std::to_string(knee), 8);
    params.slo = 60ms;
    const Truth truth{.fixed = 10ms, .per_batch = spread, .per_row = 0ms};
    ASSERT_EQ(truth(1, knee), 10725us);
    by_knee[knee] = w.add_model(params, truth);
    // 8 rows in 10.7 ms are 746 a second.
    const auto seed = static_cast<std::uint64_t>(knee);
    if (knee < 8) {
      w.poisson(by_knee[knee], 900, at(60s), seed);
    } else {
      w.poisson(by_knee[knee], 900, at(20s), seed);
      w.later(at(20s), [&w, id = by_knee[knee]] { w.poisson(id, 150, at(40s), 31); });
      w.later(at(40s), [&w, id = by_knee[knee]] { w.poisson(id, 900, at(60s), 32); });
    }
  }
  w.run_to_rest();
  w.expect_all_ended();
  for (const auto& [knee, id] : by_knee) {
    EXPECT_EQ(sizes_used(w, id, 10s, 20s), std::set<int>{knee});
    EXPECT_EQ(sizes_used(w, id, 50s, 60s), std::set<int>{knee});
  }
  EXPECT_LE(*sizes_used(w, by_knee[8], 30s, 40s).rbegin(), 2) << "a sixth of that rate needs no knee";
  EXPECT_GE(w.score(by_knee[8], at(30s), at(40s)).attainment(), 0.97);
}

// D-STACK: more than nine tenths of what an ideal packing of runs at their knees answers. The ideal has all atoms busy
// with full batches at the knees.
TEST(Rivals, DstackReachesNineTenthsOfItsIdeal) {
  World::Options options = World::with_policy("dstack");
  options.noise = 0.01;
  World w(device_of(16), options);
  struct Model {
    Truth truth;
    int knee;
  };
  // The part that spreads takes as long as the rest in batches of eight at the knee: 8 ms there.
  const Model models[] = {{{.fixed = 4ms, .per_batch = 8ms, .per_row = 1ms}, 4},
                          {{.fixed = 4ms, .per_batch = 8ms, .per_row = 1ms}, 4},
                          {{.fixed = 4ms, .per_batch = 16ms, .per_row = 2ms}, 8}};
  std::vector<InstanceId> ids;
  for (const Model& one : models) {
    auto params = model("m", 8);
    params.slo = 50ms;
    ids.push_back(w.add_model(params, one.truth));
    w.poisson(ids.back(), 1100, at(4s), ids.size());
  }
  w.run_to_rest();
  w.expect_all_ended();
  double used = 0;  // atom-seconds at the knees for what was answered in time
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto batches = static_cast<double>(w.score(ids[i], at(1s), at(4s)).met) / 8;
    const Duration run = models[i].truth(8, models[i].knee);
    ASSERT_EQ(run, 8ms);
    used += batches * std::chrono::duration<double>(run).count() * models[i].knee;
  }
  EXPECT_GE(used / (16 * 3.0), 0.9);
}

// Answers within the objective, a second, of one tenant at `load` of what the whole device can do.
double alone(const std::string& policy, std::uint16_t lanes, int slo_factor, double load) {
  World w(gpu(), policy);
  auto params = model("m", 16);
  params.lanes = lanes;
  const Truth truth = gpu_mix(1)[0].truth;
  params.slo = slo_factor * truth(1, 132);
  const InstanceId m = w.add_model(params, truth);
  const double capacity = 16 / std::chrono::duration<double>(truth(16, 132)).count();
  w.poisson(m, load * capacity, at(3s), 1);
  w.run_to_rest();
  w.expect_all_ended();
  return static_cast<double>(w.score(m, at(1s), at(3s)).met) / 2;
}

// Sharing is for several tenants. With one, whose batches follow each other, nothing beats the whole device.
TEST(Rivals, WithOneTenantAndOneLaneTheWholeDeviceLosesToNobody) {
  for (const double load : {0.3, 0.5, 0.7, 0.85, 0.92}) {
    std::map<std::string, double> goodput;
    for (const std::string& name : every_policy()) {
      goodput[name] = alone(name, 1, 10, load);
    }
    for (const auto& [name, reached] : goodput) {
      EXPECT_LE(reached, 1.005 * goodput["temporal"]) << name << " at load " << load;
    }
  }
}

// And the whole device is one of our slices: who has it alone loses nothing by what others might need.
TEST(Rivals, WithOneTenantTesseraKeepsUpWithTheWholeDevice) {
  for (const std::uint16_t lanes : {1, 2}) {
    for (const int slo_factor : {10, 20}) {
      for (const double load : {0.5, 0.85, 0.95}) {
        EXPECT_GE(alone("tessera", lanes, slo_factor, load), 0.97 * alone("temporal", lanes, slo_factor, load))
            << lanes << " lanes, objective x" << slo_factor << " at load " << load;
      }
    }
  }
}

}  // namespace
}  // namespace tessera::testing
