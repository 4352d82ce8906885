// Whole simulations: that they repeat, count right, and find what a queue of known capacity carries.
#include "sim/cluster.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "sim/placement_log.h"
#include "sim/report.h"
#include "sim/scenario.h"

namespace tessera::sim {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

fs::path root() {
  const char* named = std::getenv("TESSERA_SOURCE_DIR");
  return named == nullptr ? "." : named;
}

std::string source(const std::string& path) {
  std::ifstream file(root() / path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

DeviceProfile h100() {
  auto profiles = parse_profiles(source("bench/profiles/h100.json"), "h100.json");
  EXPECT_TRUE(profiles.ok()) << profiles.error().message();
  return profiles->at("h100");
}

Scenario scenario_of(const DeviceProfile& device, const std::string& text) {
  auto workload = loadgen::parse_workload(text, "workload", [](const std::string&) { return not_found("none"); });
  EXPECT_TRUE(workload.ok()) << workload.error().message();
  return {*workload, device};
}

std::vector<loadgen::Tenant> tenants_of(const DeviceProfile& device, const std::string& text, double rate) {
  auto tenants = scenario_of(device, text).tenants(rate, {});
  EXPECT_TRUE(tenants.ok()) << tenants.error().message();
  return *tenants;
}

Outcome play(const DeviceProfile& device, const std::vector<loadgen::Tenant>& tenants, ClusterOptions options) {
  auto cluster = Cluster::make(device, tenants, options);
  EXPECT_TRUE(cluster.ok()) << cluster.error().message();
  return (*cluster)->run({});
}

ClusterOptions quick(const std::string& policy, std::uint64_t seed = 1) {
  ClusterOptions options;
  options.policy = policy;
  options.seed = seed;
  options.warm_up = 200ms;
  options.length = 1s;
  return options;
}

TEST(Simulation, SameSeedSameBytes) {
  const DeviceProfile device = h100();
  const auto tenants = tenants_of(device, source("bench/workloads/mix8.json"), 4000);
  for (const char* policy : {"tessera", "temporal", "streams"}) {
    const auto bytes = [&](std::uint64_t seed) {
      return json({"", "mix8", "", "h100", policy, 2, seed}, tenants, [&] {
        ClusterOptions options = quick(policy, seed);
        options.devices = 2;
        return play(device, tenants, options);
      }());
    };
    EXPECT_EQ(bytes(1), bytes(1)) << policy;
    EXPECT_NE(bytes(1).substr(60), bytes(2).substr(60)) << policy;
  }
}

TEST(Simulation, EveryRequestIsAnsweredOrRejectedOnce) {
  const DeviceProfile device = h100();
  const auto tenants = tenants_of(device, source("bench/workloads/mix4.json"), 20000);  // overload
  for (const char* policy : {"tessera", "temporal"}) {
    const Outcome outcome = play(device, tenants, quick(policy));
    for (std::size_t i = 0; i < tenants.size(); ++i) {
      const loadgen::Tally& tally = outcome.tenants[i].tally;
      EXPECT_GT(tally.rejected_count(), 0U);
      EXPECT_EQ(tally.offered_count(), tally.answered_count() + tally.rejected_count());
      EXPECT_NEAR(static_cast<double>(tally.offered_count()), tenants[i].rate, 5 * std::sqrt(tenants[i].rate));
    }
    EXPECT_LT(outcome.worst_attainment(), 0.9);
    EXPECT_LE(outcome.busy, 1.0);
  }
}

TEST(Simulation, TellsOfEveryRequestAndOfEveryRun) {
  const DeviceProfile device = h100();
  const auto tenants = tenants_of(device, source("bench/workloads/mix8.json"), 9000);
  ClusterOptions options = quick("tessera");
  options.warm_up = 0ms;
  std::vector<std::uint64_t> met(tenants.size());
  std::vector<std::uint64_t> rejected(tenants.size());
  double atom_seconds = 0;
  options.answered = [&](const Answer& answer) {
    if (!answer.ended) {
      ++rejected[answer.tenant];
    } else if (*answer.ended - answer.arrival <= *tenants[answer.tenant].slo) {
      ++met[answer.tenant];
    }
  };
  options.ran = [&](const BatchRun& run) {
    ASSERT_LT(run.tenant, tenants.size());
    atom_seconds += run.atom_seconds();
  };
  const Outcome outcome = play(device, tenants, options);
  std::uint64_t all_rejected = 0;
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    EXPECT_EQ(outcome.tenants[i].tally.met_count(), met[i]);
    EXPECT_EQ(outcome.tenants[i].tally.rejected_count(), rejected[i]);
    all_rejected += rejected[i];
  }
  EXPECT_GT(all_rejected, 0U) << "more than it can carry";
  EXPECT_NEAR(atom_seconds, outcome.busy * device.shape.atoms(), 0.05 * device.shape.atoms());
}

TEST(Simulation, AClosedLoopAsksWhenItWasAnswered) {
  const DeviceProfile device = h100();
  const auto tenants = tenants_of(
      device, R"({"name": "w", "source": "s", "tenants": [{"model": "resnet50", "outstanding": 1, "no_slo": true}]})",
      1);
  DeviceProfile plain = device;
  plain.traits = DeviceTraits();
  const Outcome outcome = play(plain, tenants, quick("temporal"));
  EXPECT_NEAR(outcome.tenants[0].tally.answered_count(), 1 / 0.000528, 3);
}

TEST(Simulation, NodesAndDevicesShareTheLoad) {
  const DeviceProfile device = h100();
  const auto one = tenants_of(device, source("bench/workloads/mix4.json"), 3000);
  const auto many = tenants_of(device, source("bench/workloads/mix4.json"), 12000);
  ClusterOptions options = quick("tessera");
  const double alone = play(device, one, options).worst_attainment();
  EXPECT_GT(alone, 0.99);
  options.devices = 4;
  options.devices_per_node = 2;
  const Outcome outcome = play(device, many, options);
  EXPECT_GT(outcome.worst_attainment(), 0.99);
  EXPECT_LT(outcome.busy, 0.9);
}

TEST(Simulation, ManyTenantsAreSpreadOverNodes) {
  const DeviceProfile device = h100();
  const auto tenants = tenants_of(
      device,
      R"({"name": "w", "source": "s", "tenants": [{"model": "resnet50", "count": 200, "share": 1, "slo_ms": 20}]})",
      4000);
  auto models = tenant_models(device, tenants);
  ASSERT_TRUE(models.ok());
  const auto places = spread(*models, 10, 1);
  std::vector<int> held(10);
  for (const auto& nodes : places) {
    EXPECT_EQ(nodes.size(), 2U);
    for (const std::uint32_t node : nodes) {
      ++held[node];
    }
  }
  EXPECT_LE(*std::max_element(held.begin(), held.end()) - *std::min_element(held.begin(), held.end()), 2);
  ClusterOptions options = quick("tessera");
  options.devices = 10;
  options.devices_per_node = 1;
  EXPECT_GT(play(device, tenants, options).worst_attainment(), 0.9);
}

// Shares of what arrived in each half second that was answered in time.
class Windows {
 public:
  explicit Windows(const std::vector<loadgen::Tenant>& tenants) : tenants_(tenants) {}
  void count(const Answer& answer) {
    const auto at = static_cast<std::size_t>((answer.arrival - TimePoint{}) / 500ms);
    all_.resize(std::max(all_.size(), at + 1));
    met_.resize(all_.size());
    ++all_[at];
    met_[at] += answer.ended && *answer.ended - answer.arrival <= *tenants_[answer.tenant].slo ? 1 : 0;
  }
  double attained(std::size_t window) const { return met_.at(window) / all_.at(window); }

 private:
  const std::vector<loadgen::Tenant>& tenants_;
  std::vector<double> all_;
  std::vector<double> met_;
};

std::uint64_t sum(const Outcome& outcome, std::uint64_t (loadgen::Tally::*count)() const) {
  std::uint64_t out = 0;
  for (const auto& tenant : outcome.tenants) {
    out += (tenant.tally.*count)();
  }
  return out;
}

TEST(Changes, OfALostDeviceOnlyWhatRanFails) {
  const DeviceProfile device = h100();
  const auto tenants = tenants_of(device, source("bench/workloads/mix8.json"), 4000);  // which one device carries
  for (const char* policy : {"tessera", "temporal"}) {
    ClusterOptions options = quick(policy);
    options.devices = 2;
    options.length = 4s;
    options.changes = {{1s, 0}};
    Windows windows(tenants);
    options.answered = [&](const Answer& answer) { windows.count(answer); };
    const Outcome outcome = play(device, tenants, options);
    const std::uint64_t failed = sum(outcome, &loadgen::Tally::failed_count);
    EXPECT_GT(failed, 0U);
    EXPECT_LE(failed, 16U * 2 * 16) << policy;  // a batch on each atom, and one behind it
    EXPECT_EQ(sum(outcome, &loadgen::Tally::offered_count),
              sum(outcome, &loadgen::Tally::answered_count) + sum(outcome, &loadgen::Tally::rejected_count) + failed);
    if (policy == std::string("tessera")) {
      EXPECT_GE(windows.attained(1), 0.99);
      for (std::size_t window = 5; window < 8; ++window) {
        EXPECT_GE(windows.attained(window), 0.99) << window;
      }
    }
  }
}

TEST(Changes, ADeviceThatJoinsTakesItsShare) {
  const DeviceProfile device = h100();
  const auto tenants = tenants_of(device, source("bench/workloads/mix8.json"), 9000);  // which one does not carry
  ClusterOptions options = quick("tessera");
  options.devices = 2;
  options.length = 5s;
  options.changes = {{2s, 1, false}};
  Windows windows(tenants);
  options.answered = [&](const Answer& answer) { windows.count(answer); };
  const Outcome outcome = play(device, tenants, options);
  EXPECT_LT(windows.attained(3), 0.97);
  for (std::size_t window = 6; window < 10; ++window) {  // from 0.8 s after it joined
    EXPECT_GE(windows.attained(window), 0.99) << window;
  }
  EXPECT_EQ(sum(outcome, &loadgen::Tally::failed_count), 0U);
}

TEST(Changes, WhatOnlyTheLostDeviceHeldIsLoadedOnAnother) {
  DeviceProfile device = h100();
  device.memory = Bytes{100};
  for (auto& [name, model] : device.models) {
    model.memory = Bytes{40};
  }
  // Four tenants of two devices with room for two each.
  const auto tenants = tenants_of(device, source("bench/workloads/mix4.json"), 800);
  ClusterOptions options = quick("tessera");
  options.devices = 3;
  options.length = 3s;
  options.changes = {{1s, 0}};
  Windows windows(tenants);
  options.answered = [&](const Answer& answer) { windows.count(answer); };
  const Outcome outcome = play(device, tenants, options);
  EXPECT_GE(windows.attained(1), 0.99);
  EXPECT_GE(windows.attained(4), 0.99);  // 0.8 s after the loss
  EXPECT_GE(windows.attained(5), 0.99);
  for (const auto& tenant : outcome.tenants) {
    EXPECT_GT(tenant.tally.answered_count(), 0U);
  }
}

TEST(Changes, WhereNobodyIsLeftAllFails) {
  const DeviceProfile device = h100();
  const auto tenants = tenants_of(device, source("bench/workloads/mix4.json"), 500);
  ClusterOptions options = quick("tessera");
  options.changes = {{500ms, 0}};
  const Outcome outcome = play(device, tenants, options);
  const auto offered = static_cast<double>(sum(outcome, &loadgen::Tally::offered_count));
  EXPECT_NEAR(static_cast<double>(sum(outcome, &loadgen::Tally::failed_count)) / offered, 0.5, 0.1);
  EXPECT_EQ(offered, static_cast<double>(sum(outcome, &loadgen::Tally::failed_count) +
                                         sum(outcome, &loadgen::Tally::answered_count)));
}

// ---- Models that leave and come back ----

// One request of each tenant at each of its moments.
loadgen::Tenant asked_at(const std::string& name, std::vector<Duration> moments, std::optional<Duration> slo) {
  auto arrivals = std::make_shared<std::vector<loadgen::ScheduledArrival>>();
  for (const Duration at : moments) {
    arrivals->push_back({at, 1});
  }
  loadgen::Tenant tenant;
  tenant.spec.name = name;
  tenant.spec.model = "mobilenet_v2";
  const loadgen::Trace trace{std::move(arrivals), 1h};
  tenant.rate = trace.per_second();  // as it is
  tenant.spec.process = trace;
  tenant.slo = slo;
  return tenant;
}

struct Told {
  std::vector<Move> moves;
  std::vector<Answer> answers;
  std::string log;
};

// On devices that have room for two models each.
Told told_of(std::vector<loadgen::Tenant> tenants, std::size_t devices, std::vector<DeviceChange> changes = {},
             std::size_t per_node = 8) {
  DeviceProfile device = h100();
  device.memory = Bytes{2 * device.models.at("mobilenet_v2").memory.value};
  Told told;
  ClusterOptions options;
  options.devices = devices;
  options.devices_per_node = per_node;
  options.warm_up = 0s;
  options.length = 100s;
  options.placing = 1s;
  options.changes = std::move(changes);
  PlacementLog log(tenants, options);
  options.moved = [&](const Move& move) {
    told.moves.push_back(move);
    log.moved(move);
  };
  options.answered = [&](const Answer& answer) {
    told.answers.push_back(answer);
    log.answered(answer);
  };
  const Outcome outcome = play(device, tenants, options);
  for (const auto& tenant : outcome.tenants) {
    EXPECT_EQ(tenant.tally.offered_count(),
              tenant.tally.answered_count() + tenant.tally.rejected_count() + tenant.tally.failed_count());
  }
  told.log = log.json();
  return told;
}

TEST(Evictable, WhoIsIdleLeavesForWhoAsksAndComesBack) {
  const Told told =
      told_of({asked_at("a", {1s, 40s}, {}), asked_at("b", {2s, 21s, 41s}, {}), asked_at("c", {20s}, {})}, 1);
  // a and b are there from the start; c takes the place of a, which nobody has asked for as long, and a that of c.
  std::vector<std::pair<std::size_t, bool>> moves;
  for (const Move& move : told.moves) {
    moves.emplace_back(move.tenant, move.loads);
  }
  const std::vector<std::pair<std::size_t, bool>> expected = {{1, true}, {0, true},  {0, false},
                                                              {2, true}, {2, false}, {0, true}};
  EXPECT_EQ(moves, expected);
  ASSERT_EQ(told.answers.size(), 6U);
  for (const Answer& answer : told.answers) {
    ASSERT_TRUE(answer.ended.has_value());
    const bool waits = answer.tenant == 2 || (answer.tenant == 0 && answer.arrival > TimePoint(30s));
    EXPECT_EQ(answer.waited, waits);
    EXPECT_EQ(*answer.ended - answer.arrival > 300ms, waits) << "a load takes 0.3 s";
  }
  EXPECT_NE(told.log.find("\"total\": {\"first\": 3, \"back\": 1, \"migrations\": 0, \"further\": 0, \"unloads\": 2, "
                          "\"replicas\": 2, \"requests\": 6, \"met\": 6, \"waited\": 2}"),
            std::string::npos)
      << told.log.substr(0, 300);
}

TEST(Evictable, NobodyLeavesWhoWasJustAskedFor) {
  std::vector<Duration> often;
  for (Duration at = 1s; at < 60s; at += 5s) {
    often.push_back(at);
  }
  const Told told = told_of({asked_at("a", often, {}), asked_at("b", often, {}), asked_at("c", {20s}, 1s)}, 1);
  for (const Move& move : told.moves) {
    EXPECT_TRUE(move.at < TimePoint(1s) || move.at > TimePoint(60s)) << "a and b were used within ten seconds";
  }
  const auto of_c =
      std::find_if(told.answers.begin(), told.answers.end(), [](const Answer& a) { return a.tenant == 2; });
  ASSERT_NE(of_c, told.answers.end());
  EXPECT_FALSE(of_c->ended.has_value()) << "its objective had passed";
  EXPECT_TRUE(of_c->waited);
  EXPECT_TRUE(std::any_of(told.moves.begin(), told.moves.end(), [](const Move& move) {
    return move.tenant == 2 && move.loads && move.at > TimePoint(60s);
  })) << "it comes once one of them is idle";
}

// e begins to load on a device that is lost meanwhile, or on the other one.
TEST(Evictable, WhatWaitsForAModelOutlivesTheDevice) {
  for (const std::size_t per_node : {2U, 1U}) {
    SCOPED_TRACE(per_node);
    std::vector<loadgen::Tenant> tenants;
    for (const char* name : {"a", "b", "c", "d"}) {
      tenants.push_back(asked_at(name, {1s}, {}));
    }
    tenants.push_back(asked_at("e", {20s}, {}));
    for (const std::uint32_t lost : {0U, 1U}) {
      const Told told = told_of(tenants, 2, {{20s + 100ms, lost, true}}, per_node);
      std::set<std::uint32_t> loads_on;
      for (const Move& move : told.moves) {
        if (move.tenant == 4 && move.loads) {
          loads_on.insert(move.device);
        }
      }
      EXPECT_EQ(loads_on.count(1 - lost), 1U) << "the other one loads it";
      const auto of_e =
          std::find_if(told.answers.begin(), told.answers.end(), [](const Answer& a) { return a.tenant == 4; });
      ASSERT_NE(of_e, told.answers.end());
      EXPECT_TRUE(of_e->ended.has_value());
    }
  }
}

TEST(Evictable, WhatALostDeviceHeldHasLeftIt) {
  const Told told = told_of({asked_at("a", {1s, 50s}, {}), asked_at("b", {1s}, {})}, 2, {{10s, 0, true}});
  std::map<std::pair<std::size_t, std::uint32_t>, int> held;
  for (const Move& move : told.moves) {
    held[{move.tenant, move.device}] += move.loads ? 1 : -1;
  }
  for (const auto& [where, count] : held) {
    EXPECT_EQ(count, where.second == 0 ? 0 : 1);
  }
}

TEST(Evictable, WaitingRequestsAreSpreadOverNodes) {
  std::vector<loadgen::Tenant> tenants;
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) {
    tenants.push_back(asked_at(name, {30s}, {}));
  }
  const Told told = told_of(tenants, 2, {}, 1);
  std::set<std::uint32_t> loads_on;
  for (const Move& move : told.moves) {
    if (move.loads && move.at >= TimePoint(30s)) {
      loads_on.insert(move.device);
    }
  }
  EXPECT_EQ(loads_on.size(), 2U);
}

TEST(Evictable, SameSeedSameBytes) {
  const auto scenario = scenario_of(h100(), source("bench/workloads/azure.json"));
  const auto bytes = [&] {
    DeviceProfile device = h100();
    device.memory = Bytes{3'000'000'000};
    const auto tenants = scenario.tenants({}, {});
    ClusterOptions options = quick("tessera");
    options.length = 20s;
    options.placing = 1s;
    PlacementLog log(*tenants, options);
    options.moved = [&](const Move& move) { log.moved(move); };
    options.answered = [&](const Answer& answer) { log.answered(answer); };
    play(device, *tenants, options);
    return log.json();
  };
  EXPECT_EQ(bytes(), bytes());
}

TEST(Changes, SameSeedSameBytes) {
  const DeviceProfile device = h100();
  const auto tenants = tenants_of(device, source("bench/workloads/mix8.json"), 6000);
  const auto bytes = [&] {
    ClusterOptions options = quick("tessera");
    options.devices = 4;
    options.devices_per_node = 2;
    options.changes = {{300ms, 0}, {400ms, 3, false}, {900ms, 3}};
    return json({}, tenants, play(device, tenants, options));
  };
  EXPECT_EQ(bytes(), bytes());
}

TEST(Changes, OfDevicesThatAreNotThereAreErrors) {
  const DeviceProfile device = h100();
  const auto tenants = tenants_of(device, source("bench/workloads/mix4.json"), 500);
  const auto error = [&](std::vector<DeviceChange> changes) {
    ClusterOptions options = quick("tessera");
    options.devices = 2;
    options.changes = std::move(changes);
    return Cluster::make(device, tenants, options).error().message();
  };
  EXPECT_EQ(error({{1s, 2}}), "there is no device 2, they count from 0 to 1");
  EXPECT_EQ(error({{1s, 1}, {2s, 1}}), "device 1 is to be lost twice");
  EXPECT_EQ(error({{1s, 1, false}, {2s, 1, false}}), "device 1 is to join twice");
  EXPECT_EQ(error({{1s, 1}, {2s, 1, false}}), "device 1 is lost before it joins");
}

// A quarter of the device that is one tenant's and not lent, beside one that asks for more and more: as if it were not
// there, but for the memory that both read.
TEST(Shares, WhatIsReservedAndNotLentIsNotFeltToBeShared) {
  const DeviceProfile device = h100();
  const std::string owner = R"({"model": "resnet50", "slo_factor": 20, "rate": 900, "reserved_share": 0.25,
    "reserved_lend": false, "max_share": 0.25})";
  const auto p99 = [&](const std::string& beside) {
    const std::string text = R"({"name": "w", "source": "a test", "tenants": [)" + owner + beside + "]}";
    auto tenants = scenario_of(device, text).tenants({}, {});
    EXPECT_TRUE(tenants.ok()) << tenants.error().message();
    ClusterOptions options = quick("tessera");
    options.length = 20s;
    const Outcome outcome = play(device, *tenants, options);
    EXPECT_GE(outcome.tenants[0].tally.attainment(), 0.999);
    return static_cast<double>(outcome.tenants[0].tally.quantile(0.99).count());
  };
  const double alone = p99("");
  for (const char* rate : {"500", "2000", "6000"}) {  // the last is more than the device answers
    const double beside = p99(R"(, {"model": "vgg19", "slo_factor": 20, "rate": )" + std::string(rate) + "}");
    EXPECT_LE(beside, 1.25 * 1.03 * alone) << rate;  // percentiles are 3 % wide
  }
}

// One asks for ten times its part, two for little more than theirs: these plan for the lanes that their parts take.
TEST(Shares, AreThoseOfTheWeights) {
  const DeviceProfile device = h100();
  const auto rate = [&](const char* model, double part) {  // of the device, in batches of eight on all of it
    return part * 8 / std::chrono::duration<double>(device.whole(**device.model(model), 8)).count();
  };
  const auto tenant = [&](const char* model, double weight, double times) {
    return R"({"model": ")" + std::string(model) + R"(", "slo_factor": 20, "lanes": 2, "weight": )" +
           std::to_string(weight) + R"(, "rate": )" + std::to_string(rate(model, 1.3 * times * weight / 7)) + "}";
  };
  const std::string text = R"({"name": "w", "source": "a test", "tenants": [)" + tenant("resnet50", 1, 10) + ", " +
                           tenant("mobilenet_v2", 2, 1.2) + ", " + tenant("vgg19", 4, 1.2) + "]}";
  auto tenants = scenario_of(device, text).tenants({}, {});
  ASSERT_TRUE(tenants.ok()) << tenants.error().message();
  std::array<double, 3> used{};
  ClusterOptions options = quick("tessera");
  options.length = 10s;
  options.ran = [&](const BatchRun& run) {
    used.at(run.tenant) += run.atom_seconds() / (*tenants)[run.tenant].spec.weight;
  };
  play(device, *tenants, options);
  EXPECT_GE(loadgen::jain_index(used), 0.97) << used[0] << " " << used[1] << " " << used[2];
}

TEST(Simulation, WhatFindsNoMemoryIsAnError) {
  DeviceProfile device = h100();
  device.memory = Bytes{700'000'000};
  const auto tenants = tenants_of(device, source("bench/workloads/mix4.json"), 100);
  auto cluster = Cluster::make(device, tenants, quick("tessera"));
  ASSERT_FALSE(cluster.ok());
  EXPECT_NE(cluster.error().message().find("take more devices"), std::string::npos);
}

// A device whose capacity can be computed: one model, one row at a time, no noise. Its queue is M/D/1.
DeviceProfile plain_device() {
  DeviceProfile device;
  device.shape.name = "plain";
  device.shape.processors = {1};
  device.shape.ladder = aligned_ladder(1);
  device.shape.loader = loader_slice(1);
  device.models["m"].points = {{1, 1, 1ms}};
  return device;
}

Result<loadgen::Capacity> capacity_of(const DeviceProfile& device, const std::string& workload,
                                      const std::string& policy, loadgen::SearchOptions how) {
  return scenario_of(device, workload).capacity(quick(policy), how, {}, {});
}

TEST(Capacity, OfAQueueThatIsKnown) {
  const char* workload =
      R"({"name": "w", "source": "s", "tenants": [{"model": "m", "rate": 1, "slo_ms": 10, "max_batch": 1, "best_effort": true}]})";
  // M/D/1 with services of 1: P(wait > 9) = C exp(-9 t), load (exp(t) - 1) = t, C = (1 - load) / (load exp(t) - 1). At
  // a load of 0.774: t = 0.492, C = 0.85, together 1 %.
  loadgen::SearchOptions options;
  options.least_requests = 100'000;
  for (const double start : {300.0, 3000.0}) {
    options.start = start;
    const auto capacity = capacity_of(plain_device(), workload, "temporal:triton=1", options);
    ASSERT_TRUE(capacity.ok());
    EXPECT_NEAR(capacity->rate, 774, 25) << "from " << start;
    EXPECT_LE(capacity->low, 774);
    EXPECT_GE(capacity->high, 774);
    EXPECT_LT(capacity->high - capacity->low, 90);
  }
}

TEST(Capacity, HasAnIntervalOfItsOrderWhereverTheSearchBegins) {
  const char* workload =
      R"({"name": "w", "source": "s", "tenants": [{"model": "m", "rate": 1, "slo_ms": 10, "max_batch": 1, "best_effort": true}]})";
  loadgen::SearchOptions options;
  options.least_requests = 10'000;
  for (options.start = 700; options.start < 1000; options.start += 15) {
    const auto capacity = capacity_of(plain_device(), workload, "temporal:triton=1", options);
    ASSERT_TRUE(capacity.ok());
    EXPECT_GT(capacity->low, 0.7 * capacity->rate) << "from " << options.start;
    EXPECT_LT(capacity->high, 1.3 * capacity->rate) << "from " << options.start;
  }
}

TEST(Capacity, NeedsAnObjective) {
  EXPECT_FALSE(capacity_of(plain_device(),
                           R"({"name": "w", "source": "s", "tenants": [{"model": "m", "rate": 1, "max_batch": 1}]})",
                           "temporal", {})
                   .ok());
}

TEST(Profiles, ErrorsSayWhere) {
  const auto error = [](const std::string& device) {
    auto parsed = parse_profiles("{\"devices\": {\"d\":\n" + device + "}}", "p.json");
    return parsed.ok() ? std::string() : parsed.error().message();
  };
  const std::string head = R"({"source": "s", "date": "d", "processors": [8, 8], "models": {"m": {"points": )";
  EXPECT_EQ(error(head + "[[1, 8, 5]]}}}"), "");
  EXPECT_EQ(error(head + "[[1, 8]]}}}").substr(0, 12), "p.json:2:80:");
  EXPECT_EQ(error(head + "[[1, 8, -5]]}}}").substr(0, 12), "p.json:2:80:");
  EXPECT_EQ(error(head + "[[0.5, 8, 5]]}}}").substr(0, 12), "p.json:2:80:");
  EXPECT_EQ(error(head + "[]}}}").substr(0, 12), "p.json:2:79:");
  EXPECT_EQ(error(R"({"source": "s"})").substr(0, 11), "p.json:2:1:");
  EXPECT_EQ(error(R"({"source": "s", "date": "d", "processors": [0], "models": {}})").substr(0, 12), "p.json:2:45:");
  auto missing = h100().model("lenet");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message().find("it has mobilenet_v2, resnet50, vgg19"), std::string::npos);
}

TEST(Workloads, ThatAreCommittedCanBeRead) {
  int read = 0;
  for (const auto& entry : fs::directory_iterator(root() / "bench" / "workloads")) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".json") {
      continue;
    }
    auto workload = loadgen::parse_workload(source("bench/workloads/" + name), name,
                                            [](const std::string& path) { return source("bench/workloads/" + path); });
    ASSERT_TRUE(workload.ok()) << workload.error().message();
    EXPECT_EQ(workload->name + ".json", name);
    ++read;
  }
  EXPECT_GE(read, 17);
}

}  // namespace
}  // namespace tessera::sim
