// What a run against a server came to, as people and programs read it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "loadgen/arms.h"
#include "loadgen/generator.h"
#include "loadgen/search.h"
#include "loadgen/workload.h"

namespace tessera::loadgen {

// What a run was of. Value.
struct LoadInfo {
  std::string command;
  std::string workload;
  std::string workload_source;
  std::string target;
  std::uint64_t seed = 1;
};

// The table, and below it goodput, lateness and what failed.
std::string table(const std::vector<Tenant>& tenants, const LoadOutcome& outcome);

// An object of JSON in one line. `tenants` with the numbers of that total rate; `invalid`: why it says nothing of the
// server; empty: it does.
std::string trial_json(const std::vector<Tenant>& tenants, double rate, const Outcome& outcome,
                       const std::string& invalid);

// What came of a rate, while others are still to be tried; and at the end a line for each arm.
std::string line(const Arm& arm, const Probe& probe);
std::string table(const std::vector<ArmProof>& proofs);

// Objects of JSON. `invalid`: why the search says nothing of the server; empty: it does.
std::string json(const LoadInfo& info, const std::vector<Tenant>& tenants, const LoadOutcome& outcome);
std::string json(const LoadInfo& info, const Capacity& capacity, const std::string& invalid);
// `tenants` for a total rate of 1.
std::string json(const LoadInfo& info, const std::vector<Tenant>& tenants, const std::vector<ArmProof>& proofs,
                 const std::string& invalid);

}  // namespace tessera::loadgen
