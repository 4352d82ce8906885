// Whole workloads on the virtual clock: what the policies are for. Latencies have the form that was measured on a GPU
// (a fixed part, and work that spreads over processors); rates are inverse to the cost of a batch of eight.
#include <gtest/gtest.h>

#include "tests/support/cells.h"

namespace tessera::testing {
namespace {

TEST(Cells, TesseraBeatsTheWholeDeviceWithEightTenantsOnSixteenAtoms) {
  for (const double slo : {5.0, 10.0, 20.0}) {
    const Cell cell{.device = gpu(), .tenants = gpu_mix(8), .slo_factor = slo};
    const double rate = slo == 5.0 ? 3500 : (slo == 10.0 ? 6000 : 8000);
    const Outcome tessera = play(cell, "tessera", rate, 4s);
    const Outcome temporal = play(cell, "temporal", rate, 4s);
    EXPECT_GE(tessera.worst_attainment, 0.98) << "slo " << slo;
    EXPECT_LT(temporal.worst_attainment, 0.95) << "slo " << slo << ": the cell would prove nothing";
    EXPECT_GE(tessera.goodput, temporal.goodput) << "slo " << slo;
  }
}

TEST(Cells, WithFewTenantsAndLooseObjectivesTheWholeDeviceIsNotLostTo) {
  const Cell cell{.device = gpu(), .tenants = gpu_mix(4), .slo_factor = 20};
  EXPECT_GE(play(cell, "tessera", 6400, 3s).worst_attainment, 0.98);
}

// Where neighbours cost so much that slices save nothing, all take turns on the whole device.
TEST(Cells, WhereNeighboursCostWhatSlicesSaveTheWholeDeviceIsNotLostTo) {
  for (const std::uint64_t seed : seeds(3)) {
    const Cell cell{
        .device = gpu(), .tenants = gpu_mix(4), .slo_factor = 20, .neighbour = 0.6, .seed = seed, .lanes = 4};
    const Outcome tessera = play(cell, "tessera", 7000, 4s, 1);
    const Outcome temporal = play(cell, "temporal", 7000, 4s, 1);
    EXPECT_GE(tessera.worst_attainment, temporal.worst_attainment) << "seed " << seed;
    EXPECT_GE(tessera.worst_attainment, 0.99) << "seed " << seed;
  }
}

// One hot model: there is nobody to whom smaller slices could leave anything.
TEST(Cells, AModelAloneWithATightObjectiveLosesNothingToTheWholeDevice) {
  for (const std::uint16_t lanes : {2, 4}) {
    for (const auto& [slo, rate] : {std::pair(5.0, 4200.0), {10.0, 8200.0}, {20.0, 9400.0}}) {
      const Cell cell{.device = gpu(), .tenants = gpu_mix(1), .slo_factor = slo, .lanes = lanes};
      const Outcome tessera = play(cell, "tessera", rate, 5s, 1);
      const Outcome temporal = play(cell, "temporal", rate, 5s, 1);
      EXPECT_GE(tessera.worst_attainment, temporal.worst_attainment - 0.002) << "objective x" << slo << ", " << lanes;
      EXPECT_GE(tessera.worst_attainment, 0.98) << "objective x" << slo << ", " << lanes;
    }
  }
}

// But for one without an objective, whose batches are long: the whole device may never be free.
TEST(Cells, AHotModelBesideLongBatchesWithoutAnObjectiveUsesWhatTheyLeave) {
  World w(gpu(), "tessera");
  const Truth hot{.fixed = 454us, .per_row = 11ms};
  auto params = model("hot", 16);
  params.slo = 5 * hot(1, 132);
  const InstanceId id = w.add_model(params, hot);
  auto long_one = model("long", 1);
  long_one.lanes = 1;
  const InstanceId background = w.add_model(long_one, {.fixed = 60ms, .per_row = 1us});
  w.poisson(id, 2500, at(3s), 1);
  w.poisson(background, 30, at(3s), 2);
  w.run_to_rest();
  EXPECT_GE(w.score(id, at(1s), at(3s)).attainment(), 0.97);
  EXPECT_GT(w.score(background, at(1s), at(3s)).offered, 20U);
}

TEST(Cells, AtSixtyPercentLoadHardlyAnybodyMisses) {
  for (const std::uint64_t seed : seeds(3)) {
    const Cell many{.device = gpu(), .tenants = gpu_mix(8), .slo_factor = 8, .seed = seed};
    EXPECT_GE(play(many, "tessera", 0.6 * capacity(many), 4s).worst_attainment, 0.97) << "16 atoms, seed " << seed;
    // Two cores and models from 0.4 to 100 ms: a batch that runs cannot be interrupted, so the longest is added.
    const Cell two{.device = device_of(2),
                   .tenants = {{"tiny", {.fixed = 100us, .per_row = 300us}},
                               {"small", {.fixed = 500us, .per_row = 4ms}},
                               {"middle", {.fixed = 1ms, .per_row = 20ms}},
                               {"large", {.fixed = 5ms, .per_row = 95ms}}},
                   .max_batch = 8,
                   .slo_factor = 5,
                   .slo_extra = 100ms,
                   .noise = 0.1,
                   .seed = seed};
    EXPECT_GE(play(two, "tessera", 0.6 * capacity(two), 30s).worst_attainment, 0.95) << "2 atoms, seed " << seed;
  }
}

// More than can be carried is no reason to carry less: heads that force small batches are given up in time.
TEST(Cells, GoodputStaysWhereItIsPastCapacity) {
  for (const auto& [tenants, slo] : {std::pair(4, 10.0), {4, 20.0}, {16, 5.0}, {16, 20.0}}) {
    const Cell cell{.device = gpu(), .tenants = gpu_mix(tenants), .slo_factor = slo};
    double most = 0;
    for (const double rate : {6000, 8000, 9000, 10000, 11000, 12000, 16000, 28500}) {
      const double goodput = play(cell, "tessera", rate, 2s).goodput;
      EXPECT_GE(goodput, 0.92 * most) << tenants << " tenants, objective x" << slo << ", " << rate << " a second";
      most = std::max(most, goodput);
    }
  }
}

TEST(Cells, UnderOverloadWeightsDecideWhoIsServed) {
  World w(gpu(), "tessera");
  std::map<double, InstanceId> by_weight;
  std::uint64_t seed = 1;
  for (const double weight : {1.0, 2.0, 4.0}) {
    auto params = model("m", 16);
    params.slo = 20ms;
    params.weight = weight;
    params.lanes = 16;
    by_weight[weight] = w.add_model(params, {.fixed = 454us, .per_row = 11ms});
    w.poisson(by_weight[weight], 15000, at(3s), seed++);
  }
  w.run_to_rest();
  std::map<double, double> met;
  for (const auto& [weight, id] : by_weight) {
    met[weight] = static_cast<double>(w.score(id, at(1s), at(3s)).met);
  }
  EXPECT_NEAR(met[2.0] / met[1.0], 2.0, 0.6);
  EXPECT_NEAR(met[4.0] / met[1.0], 4.0, 1.2);
}

TEST(Cells, RunAheadOfOneKeepsWhatItPromises) {
  const Cell cell{.device = gpu(), .tenants = gpu_mix(8), .slo_factor = 10};
  EXPECT_GE(play(cell, "tessera", 6000, 3s, 1).worst_attainment, 0.98);
}

TEST(Cells, WithoutProfilesAlmostAllOfTheGoodputIsReachedSoon) {
  Cell cell{.device = gpu(), .tenants = gpu_mix(8), .slo_factor = 10};
  const double known = play(cell, "tessera", 5000, 5s).goodput;
  cell.profiled = false;
  EXPECT_GE(play(cell, "tessera", 5000, 5s).goodput, 0.95 * known);
}

}  // namespace
}  // namespace tessera::testing
