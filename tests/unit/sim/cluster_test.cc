// Whole simulations: that they repeat, count right, and find what a queue of known capacity carries.
#include "sim/cluster.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "sim/report.h"
#include "sim/scenario.h"
#include "tests/support/scenarios.h"

namespace tessera::sim {
namespace {

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

// Where attainment falls slowly, what one seed less changes between two rates that were tried is no slope.
TEST(Capacity, HasANarrowIntervalWithATightObjective) {
  const auto profiles = parse_profiles(source("bench/profiles/h200.json"), "h200.json");
  ASSERT_TRUE(profiles.ok());
  const Scenario mix = scenario_of(profiles->at("h200"), source("bench/workloads/mix4.json"));
  ClusterOptions options;
  loadgen::SearchOptions how;
  const auto found = mix.capacity(options, how, 5, {});
  ASSERT_TRUE(found.ok());
  EXPECT_GT(found->low, 0.85 * found->rate);
  EXPECT_LT(found->high, 1.15 * found->rate);
  ASSERT_EQ(found->without.size(), 5U);
  for (const double without : found->without) {
    EXPECT_NEAR(without, found->rate, 0.1 * found->rate);
  }
}

TEST(Capacity, RatiosLeaveOutTheLuckThatBothHad) {
  loadgen::Capacity a;
  a.rate = 1200;
  a.low = 1000;
  a.high = 1400;
  a.without = {1150, 1250, 1100, 1300, 1200};
  loadgen::Capacity b = a;
  for (double* value : {&b.rate, &b.low, &b.high}) {
    *value /= 1.2;
  }
  for (double& without : b.without) {
    without /= 1.2;
  }
  const loadgen::Ratio same_luck = loadgen::ratio(a, b);
  EXPECT_NEAR(same_luck.value, 1.2, 1e-9);
  EXPECT_GT(same_luck.low, 1.18);
  EXPECT_LT(same_luck.high, 1.22);
  std::reverse(b.without.begin(), b.without.end());
  std::swap(b.without[0], b.without[1]);
  EXPECT_LT(loadgen::ratio(a, b).low, 1.0);
  b.rate = 0;
  EXPECT_EQ(loadgen::ratio(a, b).value, 0);
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

TEST(Workloads, ThatAreCommittedCanBeReadAndSimulated) {
  const auto profiles = parse_profiles(source("bench/profiles/h200.json"), "h200.json");
  ASSERT_TRUE(profiles.ok());
  const DeviceProfile& device = profiles->at("h200");
  int read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root() / "bench" / "workloads")) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".json") {
      continue;
    }
    auto workload = loadgen::parse_workload(source("bench/workloads/" + name), name,
                                            [](const std::string& path) { return source("bench/workloads/" + path); });
    ASSERT_TRUE(workload.ok()) << workload.error().message();
    EXPECT_EQ(workload->name + ".json", name);
    if (!name.starts_with("host_")) {  // whose models bench/agreement.py makes
      Scenario scenario{*workload, device};
      const Status stands = scenario.device.stand_in(*workload);
      ASSERT_TRUE(stands.ok()) << name << ": " << stands.error().message();
      const auto tenants = scenario.tenants(100, {});
      EXPECT_TRUE(tenants.ok()) << name << ": " << tenants.error().message();
    }
    ++read;
  }
  EXPECT_GE(read, 17);
}

}  // namespace
}  // namespace tessera::sim
