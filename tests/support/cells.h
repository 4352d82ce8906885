// Whole workloads on a virtual device of the form that was measured on a GPU: what tests of src/sched and programs that
// compare policies share. Latencies have a fixed part, and work that spreads over processors; rates are inverse to the
// cost of a batch of eight.
#pragma once

#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/virtual_world.h"

namespace tessera::testing {

// Sanitizers look for something else than statistics do, and take more than ten times as long.
#ifdef TESSERA_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// What a statistic is played with; under sanitizers the first.
inline std::vector<std::uint64_t> seeds(std::uint64_t count) {
  std::vector<std::uint64_t> out(kSanitized ? 1 : count);
  std::iota(out.begin(), out.end(), std::uint64_t{1});
  return out;
}

struct Tenant {
  const char* name = "";
  Truth truth;
};

inline std::vector<Tenant> gpu_mix(int tenants) {
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
  double neighbour = 0;  // what busy neighbours cost a run
  bool profiled = true;
  std::uint64_t seed = 1;
  std::uint16_t lanes = 0;  // of each model; 0: as a model has them
};

// The tenants, and their requests: `rate` a second in all.
inline std::vector<InstanceId> fill(World& w, const Cell& cell, double rate, Duration length) {
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
    params.lanes = cell.lanes > 0 ? cell.lanes : params.lanes;
    ids.push_back(w.add_model(params, tenant.truth, cell.profiled));
    const double share = 1.0 / static_cast<double>(tenant.truth(8, whole).count()) / sum;
    w.poisson(ids.back(), rate * share, at(length), cell.seed * 1000 + i);
  }
  return ids;
}

// Plays `rate` requests per second for a while and looks at all but the first part of it.
inline Outcome play(const Cell& cell, const std::string& policy_name, double rate, Duration length,
                    std::uint16_t committed = 0) {
  SCOPED_TRACE(policy_name + ", seed " + std::to_string(cell.seed));
  World::Options options = World::with_policy(policy_name);
  options.noise = cell.noise;
  options.neighbour = cell.neighbour;
  options.seed = cell.seed;
  options.limits.committed_per_atom = committed;
  World w(cell.device, options);
  const std::vector<InstanceId> ids = fill(w, cell, rate, length);
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

inline DeviceShape gpu() {
  DeviceShape device = device_of(16, 8);
  device.processors.back() = 12;
  return device;
}

// Rows per second if every batch of eight ran on its cheapest slice, all atoms busy: an upper bound of what fits.
inline double capacity(const Cell& cell) {
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

}  // namespace tessera::testing
