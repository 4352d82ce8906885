// What policy gslice adds to the rules that hold for all: shares in disjoint slices, what a window teaches, stand-bys.
#include <gtest/gtest.h>

#include "sched/share_learner.h"
#include "sched/share_plan.h"
#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

std::vector<int> sizes_planned(const sched::Occupancy& device, const std::vector<double>& atoms) {
  std::vector<sched::ShareWish> wishes;
  for (const double wish : atoms) {
    wishes.push_back({wish, std::nullopt});
  }
  const auto slices = plan_shares(device, sched::LadderSizes(device), wishes);
  std::vector<int> sizes;
  std::vector<int> users(device.shape().atoms(), 0);
  for (const std::size_t index : slices) {
    const Slice slice = device.slice(index).slice;
    sizes.push_back(slice.count);
    for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
      EXPECT_EQ(++users[atom], 1) << "atom " << atom << " belongs to two models";
    }
  }
  return sizes;
}

TEST(PlanShares, EverybodyHasItsWishWhereAllFit) {
  const sched::Occupancy device(device_of(16), 1);
  EXPECT_EQ(sizes_planned(device, {8, 4, 2, 1}), (std::vector<int>{8, 4, 2, 1}));
  EXPECT_EQ(sizes_planned(device, {2.1, 0.3, 8.0}), (std::vector<int>{4, 1, 8}));
  EXPECT_EQ(sizes_planned(device, {4, 9}), (std::vector<int>{4, 12}));
}

TEST(PlanShares, WhatDoesNotFitIsMaxMinFair) {
  const sched::Occupancy device(device_of(16), 1);
  EXPECT_EQ(sizes_planned(device, {16, 16}), (std::vector<int>{8, 8}));
  EXPECT_EQ(sizes_planned(device, {16, 1, 2}), (std::vector<int>{12, 1, 2}));
  EXPECT_EQ(sizes_planned(device, std::vector<double>(16, 16)), std::vector<int>(16, 1));
  for (const std::uint16_t atoms : {1, 2, 3, 5, 6, 7, 12, 15}) {
    const sched::Occupancy odd(device_of(atoms), 1);
    sizes_planned(odd, std::vector<double>(atoms, 3));
    sizes_planned(odd, {static_cast<double>(atoms)});
  }
}

TEST(PlanShares, WhoKeepsItsSizeKeepsItsSlice) {
  const sched::Occupancy device(device_of(8), 1);
  const sched::LadderSizes sizes(device);
  const std::size_t last_two = *device.index_of({6, 2});
  const std::vector<sched::ShareWish> wishes{{4, std::nullopt}, {2, last_two}, {2, std::nullopt}};
  EXPECT_EQ(plan_shares(device, sizes, wishes)[1], last_two);
}

// One model that was measured, a window with answers as told, and what the rule makes of it.
class Learner {
 public:
  explicit Learner(const Truth& truth, std::optional<Duration> slo, double atoms, std::int32_t max_batch = 16)
      : device_(device_of(16), 1), sizes_(device_) {
    auto params = model("m", max_batch);
    params.slo = slo;
    std::vector<sched::ProfilePoint> points;
    for (const std::int32_t bucket : params.buckets) {
      for (const std::int32_t atom_count : {1, 2, 4, 8, 12, 16}) {
        points.push_back({bucket, atom_count, truth(bucket, atom_count)});
      }
    }
    instance_ = std::make_unique<sched::Instance>(
        sched::ModelUp{InstanceId{1}, std::make_shared<sched::ModelParams>(params), sched::Profile(points)}, device_);
    learner_.start(*instance_, sizes_, atoms);
  }

  // A second in which so many requests arrived, all answered after that time but for those that were given up.
  void window(std::uint64_t arrived, Duration latency, std::uint64_t given_up = 0) {
    learner_.open_window(*instance_, now_);
    instance_->rows_arrived += arrived;
    instance_->rows_given_up += given_up;
    learner_.answered(*instance_, now_, now_ + latency, static_cast<std::int32_t>(arrived - given_up));
    now_ += 1s;
    learner_.close_window(*instance_, sizes_, size(), now_);
  }

  std::uint16_t size() const { return sizes_.holding(learner_.atoms()); }
  const sched::ShareLearner& operator*() const { return learner_; }

 private:
  sched::Occupancy device_;
  sched::LadderSizes sizes_;
  std::unique_ptr<sched::Instance> instance_;
  sched::ShareLearner learner_;
  TimePoint now_{};
};

// 10 ms a run on four atoms whatever the batch, so 100 batches a second.
constexpr Truth kFlat{.fixed = 0ms, .per_batch = 40ms, .per_row = 0ms};

TEST(ShareLearner, NothingMovesWhileBothResidualsAreInTheBand) {
  Learner learner(kFlat, 20ms, 4);
  ASSERT_EQ((*learner).batch(), 16);
  learner.window(1550, 19500us);  // 1600 can be answered: 3.2 % more; 2.5 % of the SLO are left
  EXPECT_EQ((*learner).atoms(), 4);
  EXPECT_EQ((*learner).batch(), 16);
}

TEST(ShareLearner, TheShareGrowsByTheResidualThatAsksForMost) {
  Learner latency(kFlat, 20ms, 4);
  latency.window(800, 22ms);  // 10 % late, twice the throughput
  EXPECT_NEAR((*latency).atoms(), 4 * 1.1, 0.05);
  EXPECT_NEAR((*latency).batch(), 14, 1) << "and the batch shrinks by as much";

  Learner throughput(kFlat, 20ms, 4);
  throughput.window(2000, 10ms);  // four fifths of what arrives
  EXPECT_NEAR((*throughput).atoms(), 4 * 1.2, 0.05);
  EXPECT_EQ((*throughput).batch(), 16) << "a smaller one would answer even less";
}

TEST(ShareLearner, WhatWasGivenUpCountsAsLate) {
  Learner learner(kFlat, 20ms, 4);
  learner.window(800, 10ms, 7);
  EXPECT_LE((*learner).atoms(), 4) << "less than one in a hundred is no matter of the p99";
  learner.window(800, 10ms, 20);
  EXPECT_GT((*learner).atoms(), 4);
}

TEST(ShareLearner, TheShareShrinksToTheSmallestSizeThatDoes) {
  Learner learner(kFlat, 100ms, 16);
  for (int i = 0; i < 20; ++i) {
    learner.window(500, std::chrono::milliseconds(40 / learner.size()));
  }
  EXPECT_EQ(learner.size(), 2) << "800 a second; one atom would answer 400";
}

TEST(ShareLearner, ItGrowsToItsKneeAndNoFurther) {
  // 10 ms that no slice makes shorter, and 1.6 ms that spread: from four atoms on nothing is gained.
  Learner learner({.fixed = 10ms, .per_batch = 1600us, .per_row = 0ms}, 5ms, 1);
  for (int i = 0; i < 20; ++i) {
    learner.window(100, 12ms, 90);
  }
  EXPECT_EQ(learner.size(), 2) << "0.4 of 10.8 ms are gained by two atoms more";
}

TEST(ShareLearner, WithoutAnObjectiveOnlyThroughputCounts) {
  Learner learner(kFlat, std::nullopt, 16);
  for (int i = 0; i < 20; ++i) {
    learner.window(700, 2s);
  }
  EXPECT_EQ(learner.size(), 2);
}

TEST(Gslice, EveryModelStaysInASliceOfItsOwnUntilItsStandByIsReady) {
  World w(device_of(8), "gslice:window_ms=500,stand_by_ms=70");
  auto params = model("busy", 4);
  params.slo = 50ms;
  const InstanceId busy = w.add_model(params, Truth{.fixed = 1ms, .per_row = 8ms});
  params.name = "idle";
  const InstanceId idle = w.add_model(params, Truth{.fixed = 1ms, .per_row = 8ms});
  w.poisson(busy, 500, at(3s), 1);  // 444 a second on four atoms
  w.poisson(idle, 20, at(3s), 2);
  w.run_to_rest();
  w.expect_all_ended();
  const auto of = [&](InstanceId id, Duration from, Duration until) {
    std::set<Slice> slices;
    for (const auto& [request, fate] : w.fates()) {
      if (fate.instance == id && fate.launched && *fate.launched >= at(from) && *fate.launched < at(until)) {
        slices.insert(fate.slice);
      }
    }
    return slices;
  };
  // The window opens after what was there before has settled, 100 ms, and a stand-by takes 70 ms.
  const auto before = of(busy, 0s, 670ms);
  ASSERT_EQ(before.size(), 1U);
  EXPECT_EQ(before.begin()->count, 4);
  ASSERT_EQ(of(idle, 0s, 670ms).size(), 1U);
  EXPECT_FALSE(before.begin()->overlaps(*of(idle, 0s, 670ms).begin()));
  const auto after = of(busy, 2s, 3s);
  ASSERT_EQ(after.size(), 1U);
  EXPECT_EQ(after.begin()->count, 6) << "three quarters";
  EXPECT_FALSE(after.begin()->overlaps(*of(idle, 2s, 3s).begin()));
}

TEST(Gslice, NothingIsLaunchedWhileASwitchLasts) {
  World w(device_of(8), "gslice:window_ms=500,stand_by_ms=0");
  auto params = model("m", 1);
  params.slo = 500ms;
  const InstanceId m = w.add_model(params, Truth{.fixed = 1ms, .per_row = 1ms});
  w.request(m);
  w.run_until(at(100ms));
  w.request(m);  // opens the window
  w.run_until(at(601ms));
  const RequestId closes = w.request(m);  // closes the window: the share is halved
  EXPECT_FALSE(w.fate(closes).launched);
  w.run_to_rest();
  EXPECT_EQ(w.fate(closes).launched.value(), at(601ms + 100us));
  EXPECT_LT(w.fate(closes).slice.count, 8);
}

TEST(Gslice, MoreModelsThanAtomsTakeTurns) {
  World w(device_of(2), "gslice");
  std::vector<InstanceId> models;
  for (int i = 0; i < 5; ++i) {
    models.push_back(w.add_model(model("m" + std::to_string(i)), Truth{}));
  }
  for (const InstanceId m : models) {
    w.request(m);
  }
  w.run_to_rest();
  w.expect_all_ended();
  std::map<Slice, int> used;
  for (const auto& launch : w.launches()) {
    ++used[launch.slice];
  }
  EXPECT_EQ(used, (std::map<Slice, int>{{Slice{0, 1}, 3}, {Slice{1, 1}, 2}}));
}

TEST(Gslice, ModelsComeAndGo) {
  World w(device_of(4), "gslice:window_ms=100");
  const InstanceId a = w.add_model(model("a"), Truth{});
  w.request(a);
  w.run_until(at(50ms));
  const InstanceId b = w.add_model(model("b"), Truth{});
  const RequestId in_b = w.request(b);
  EXPECT_EQ(w.fate(in_b).slice.count, 2);
  w.send(sched::ModelDown{a});
  w.run_until(at(1s));
  EXPECT_EQ(w.drained(), std::set<InstanceId>{a});
  w.request(b);
  w.run_to_rest();
  w.expect_all_ended();
}

}  // namespace
}  // namespace tessera::testing
