// What a run or a search came to as one HTML file that needs nothing beside it.
#pragma once

#include <string>
#include <vector>

#include "loadgen/generator.h"
#include "loadgen/load_report.h"
#include "loadgen/search.h"

namespace tessera::loadgen {

// Attainment of each tenant, the distribution of their latencies, and what happened over time.
std::string html(const LoadInfo& info, const std::vector<Tenant>& tenants, const LoadOutcome& outcome);

// Goodput against rate, and of the highest rate that passed what a run has but its course. `tenants`: with the numbers
// of that rate.
std::string html(const LoadInfo& info, const std::vector<Tenant>& tenants, const Capacity& capacity,
                 const std::string& invalid);

}  // namespace tessera::loadgen
