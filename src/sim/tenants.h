// What a device has to know of each tenant of a workload, and which nodes and devices hold it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "loadgen/workload.h"
#include "sched/model_params.h"
#include "sim/profiles.h"

namespace tessera::sim {

// Immutable.
struct TenantModel {
  std::shared_ptr<const sched::ModelParams> params;
  const ModelProfile* profile = nullptr;
  Device::RunTime run_time;  // alone, without noise
  double work = 0;           // device-seconds a second, in batches of eight on the whole device
};

Result<std::vector<TenantModel>> tenant_models(const DeviceProfile& device,
                                               const std::vector<loadgen::Tenant>& tenants);

// By tenant, the nodes that hold it: few where there are many tenants, so that a node has to know few models; as many
// as it takes that none asks a node for more than a tenth of it; the least loaded nodes. Every node where all tenants
// fit on each.
std::vector<std::vector<std::uint32_t>> spread(const std::vector<TenantModel>& models, std::size_t nodes,
                                               std::size_t devices_per_node);

// Of the tenants that a node holds, of `tenants` in all, by device whether it may hold them: few devices each where
// there are many tenants, for the same reason, and because requests that many replicas share come in small batches; as
// many as it takes that none asks a device for more than half of it; the least loaded ones. `work`: device-seconds a
// second that each asks the node for. Empty lists: every device.
std::vector<std::vector<bool>> devices_for(const std::vector<double>& work, std::size_t tenants, std::size_t devices);

}  // namespace tessera::sim
