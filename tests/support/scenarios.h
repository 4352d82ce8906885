// Scenarios of the simulator: profiles and workloads of the repository, played.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "sim/cluster.h"
#include "sim/scenario.h"

namespace tessera::sim {

using namespace std::chrono_literals;

inline std::filesystem::path root() {
  const char* named = std::getenv("TESSERA_SOURCE_DIR");
  return named == nullptr ? "." : named;
}

inline std::string source(const std::string& path) {
  std::ifstream file(root() / path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline DeviceProfile h100() {
  auto profiles = parse_profiles(source("bench/profiles/h100.json"), "h100.json");
  EXPECT_TRUE(profiles.ok()) << profiles.error().message();
  return profiles->at("h100");
}

inline Scenario scenario_of(const DeviceProfile& device, const std::string& text) {
  auto workload = loadgen::parse_workload(text, "workload", [](const std::string&) { return not_found("none"); });
  EXPECT_TRUE(workload.ok()) << workload.error().message();
  return {*workload, device};
}

inline std::vector<loadgen::Tenant> tenants_of(const DeviceProfile& device, const std::string& text, double rate) {
  auto tenants = scenario_of(device, text).tenants(rate, {});
  EXPECT_TRUE(tenants.ok()) << tenants.error().message();
  return *tenants;
}

inline Outcome play(const DeviceProfile& device, const std::vector<loadgen::Tenant>& tenants, ClusterOptions options) {
  auto cluster = Cluster::make(device, tenants, options);
  EXPECT_TRUE(cluster.ok()) << cluster.error().message();
  return (*cluster)->run({});
}

inline ClusterOptions quick(const std::string& policy, std::uint64_t seed = 1) {
  ClusterOptions options;
  options.policy = policy;
  options.seed = seed;
  options.warm_up = 200ms;
  options.length = 1s;
  return options;
}

}  // namespace tessera::sim
