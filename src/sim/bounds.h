// What no policy could exceed, or only because the bound leaves something out that it says.
#pragma once

#include <vector>

#include "base/result.h"
#include "loadgen/search.h"
#include "loadgen/workload.h"
#include "sim/profiles.h"

namespace tessera::sim {

// The highest total rate at which processor-time suffices when every tenant runs in its most efficient feasible form:
// rows b in a slice of p processors with the least b-normalised L(b, p) * p, among those with (b - 1) / rate + L(b, p)
// <= objective. L is taken beside neighbours that fill the rest of the device. It knows no queues, no rounding to
// slices and no bursts, which fill a batch sooner than the mean rate: close for loose objectives only. `tenants` are
// resolved for a total rate of 1. Tenants in a closed loop take nothing.
Result<double> fractional_bound(const DeviceProfile& device, std::size_t devices,
                                const std::vector<loadgen::Tenant>& tenants);

// A bound that knows the arrivals: above this total rate no schedule, not even one that had seen all of them, attains
// `how.attainment` for every tenant on the arrivals of the seeds `seed`, seed + 1, ... as a search would draw them. Two
// relaxations in one: each tenant's requests are put into batches at the least processor-time that their arrivals
// and objective permit, as if it were alone; and that time is spread over the requests so that no schedule could do
// with less for them, and served by the device as a liquid, the earliest deadline first, which of all ways loses
// least. Rounding to slices, lanes, and that a batch occupies its slice in one piece are left out; a batch that fits
// alone is charged as if neighbours were there (which costs the device no more than what it would leave idle). Exact
// statement and proof: docs/decisions/075-a-bound-that-knows-the-arrivals.md. Tenants without an objective or in a
// closed loop take nothing. Error: none is left.
Result<double> clairvoyant_bound(const DeviceProfile& device, std::size_t devices,
                                 const std::vector<loadgen::Tenant>& tenants, const loadgen::SearchOptions& how,
                                 std::uint64_t seed);

}  // namespace tessera::sim
