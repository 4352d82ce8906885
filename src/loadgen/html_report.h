// What a run or a search came to as one HTML file that needs nothing beside it.
#pragma once

#include <string>
#include <vector>

#include "loadgen/generator.h"
#include "loadgen/load_report.h"
#include "loadgen/search.h"
#include "loadgen/slice_chart.h"

namespace tessera::loadgen {

// Attainment of each tenant, the distribution of their latencies, what happened over time, and which batch ran where
// where that is known.
std::string html(const LoadInfo& info, const std::vector<Tenant>& tenants, const LoadOutcome& outcome,
                 const SliceRuns& slices = {});

// Goodput against rate, and of the highest rate that passed what a run has but its course. `tenants`: with the numbers
// of that rate.
std::string html(const LoadInfo& info, const std::vector<Tenant>& tenants, const Capacity& capacity,
                 const std::string& invalid);

// Arms beside each other, and of each what a run has at the highest rate that passed, or else at the last one.
// `tenants`: for a total rate of 1. `slices`: which batch ran where, of each arm from its moment in `from` on, where
// there is one.
std::string html(const LoadInfo& info, const std::vector<Tenant>& tenants, const std::vector<ArmProof>& proofs,
                 const std::string& invalid, const SliceRuns& slices, const std::vector<TimePoint>& from);

}  // namespace tessera::loadgen
