// Whole workloads on the virtual clock: what the policies are for. Latencies have the form that was measured on a GPU
// (a fixed part, and work that spreads over processors); rates are inverse to the cost of a batch of eight.
#include <gtest/gtest.h>

#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

struct Tenant {
  const char* name;
  Truth truth;
};

std::vector<Tenant> gpu_mix(int tenants) {
  const Tenant mix[] = {{"resnet50", {.fixed = 454us, .per_row = 11ms}},
                        {"mobilenet_v2", {.fixed = 239us, .per_row = 6750us}},
                        {"resnet50", {.fixed = 454us, .per_row = 11ms}},
                        {"vgg19", {.fixed = 256us, .per_row = 19500us}}};
  std::vector<Tenant> result;
  for (int i = 0; i < tenants; ++i) {
    result.push_back(mix[i % 4]);
  }
  return result;
}

struct Outcome {
  double worst_attainment = 1.0;
  double goodput = 0;  // per second
};

struct Cell {
  DeviceShape device;
  std::vector<Tenant> tenants;
  std::int32_t max_batch = 16;
  double slo_factor = 5;  // of a batch of one on the whole device
  Duration slo_extra{0};
  double noise = 0.03;
  bool profiled = true;
  std::uint64_t seed = 1;
};

// Plays `rate` requests per second for a while and looks at all but the first part of it.
Outcome play(const Cell& cell, const std::string& policy_name, double rate, Duration length,
             std::uint16_t committed = 0) {
  SCOPED_TRACE(policy_name + ", seed " + std::to_string(cell.seed));
  World::Options options = World::with_policy(policy_name);
  options.noise = cell.noise;
  options.seed = cell.seed;
  options.limits.committed_per_atom = committed;
  World w(cell.device, options);
  const int whole = cell.device.processors_in(cell.device.whole());
  double sum = 0;
  for (const Tenant& tenant : cell.tenants) {
    sum += 1.0 / static_cast<double>(tenant.truth(8, whole).count());
  }
  std::vector<InstanceId> ids;
  for (std::size_t i = 0; i < cell.tenants.size(); ++i) {
    const Tenant& tenant = cell.tenants[i];
    auto params = model(tenant.name, cell.max_batch);
    params.slo =
        Duration(static_cast<Duration::rep>(cell.slo_factor * static_cast<double>(tenant.truth(1, whole).count()))) +
        cell.slo_extra;
    ids.push_back(w.add_model(params, tenant.truth, cell.profiled));
    const double share = 1.0 / static_cast<double>(tenant.truth(8, whole).count()) / sum;
    w.poisson(ids.back(), rate * share, at(length), cell.seed * 1000 + i);
  }
  w.run_to_rest();
  w.expect_all_ended();
  Outcome outcome;
  const TimePoint from = at(length / 5);
  for (const InstanceId id : ids) {
    const auto score = w.score(id, from, at(length));
    outcome.worst_attainment = std::min(outcome.worst_attainment, score.attainment());
    outcome.goodput += static_cast<double>(score.met) / std::chrono::duration<double>(length - length / 5).count();
  }
  return outcome;
}

DeviceShape gpu() {
  DeviceShape device = device_of(16, 8);
  device.processors.back() = 12;
  return device;
}

// Rows per second if every batch of eight ran on its cheapest slice, all atoms busy: an upper bound of what fits.
double capacity(const Cell& cell) {
  const int whole = cell.device.processors_in(cell.device.whole());
  double sum = 0;
  double cost = 0;  // atom-seconds of one request of the mix
  for (const Tenant& tenant : cell.tenants) {
    sum += 1.0 / static_cast<double>(tenant.truth(8, whole).count());
  }
  for (const Tenant& tenant : cell.tenants) {
    const double share = 1.0 / static_cast<double>(tenant.truth(8, whole).count()) / sum;
    cost += share * static_cast<double>(tenant.truth(1, cell.device.processors.front()).count()) / 1e9;
  }
  return cell.device.atoms() / cost;
}

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

TEST(Cells, AtSixtyPercentLoadHardlyAnybodyMisses) {
  for (const std::uint64_t seed : {1, 2, 3}) {
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

TEST(Cells, UnderThreefoldOverloadMostOfTheGoodputRemains) {
  const Cell cell{.device = gpu(), .tenants = gpu_mix(16), .slo_factor = 20};
  const double carried = play(cell, "tessera", 9500, 2s).goodput;
  EXPECT_GE(play(cell, "tessera", 28500, 2s).goodput, 0.85 * carried);
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
