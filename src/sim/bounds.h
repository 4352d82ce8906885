// What no policy could exceed, or only because the bound leaves something out that it says.
#pragma once

#include "base/result.h"
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

}  // namespace tessera::sim
