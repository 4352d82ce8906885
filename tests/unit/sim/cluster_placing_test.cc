// Models that leave their devices for others and come back.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "sim/placement_log.h"
#include "tests/support/scenarios.h"

namespace tessera::sim {
namespace {

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

}  // namespace
}  // namespace tessera::sim
