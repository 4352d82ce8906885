// Results as people and programs read them.
#pragma once

#include <string>
#include <vector>

#include "loadgen/search.h"
#include "loadgen/workload.h"
#include "sim/cluster.h"

namespace tessera::sim {

// One row a tenant; beyond `most` tenants the worst of them, and a line that says so.
std::string table(const std::vector<loadgen::Tenant>& tenants, const Outcome& outcome, std::size_t most = 40);

// What a run was of. Value.
struct RunInfo {
  std::string command;
  std::string workload;
  std::string workload_source;
  std::string device;
  std::string policy;
  std::size_t devices = 1;
  std::uint64_t seed = 1;
};

// Objects of JSON; nothing in them depends on the time or the machine.
// `placement`: an object, or nothing.
std::string json(const RunInfo& info, const std::vector<loadgen::Tenant>& tenants, const Outcome& outcome,
                 const std::string& placement = {});
std::string json(const RunInfo& info, const loadgen::Capacity& capacity, double fractional, double clairvoyant);

}  // namespace tessera::sim
