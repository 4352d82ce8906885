// The host's cores as a device: a slice is a set of pinned cores with a worker of its own. Plans are HostPlans.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "device/host/host_staging.h"
#include "device/host/topology.h"

namespace tessera::device {

struct HostOptions {
  std::vector<int> cores{};  // logical processors in atom order; empty: all that the process may use
  std::string name = "host";
  HostStagingLimits staging{};
};

// Starts one pinned worker per slice of the ladder. Engines that pin threads take the same cores through
// HostTopology::of(options.cores). Error: kInvalidArgument for cores that this process may not use.
//
// Launches wait in a table that the role holder owns, so nothing here locks: a launch is committed when all it waits
// for has been retired, and runs on its slice's worker or, where it need not wait and the caller offered it, on the
// caller's thread (run_here), pinned for the run.
Result<std::unique_ptr<Device>> make_host_device(const HostOptions& options);

}  // namespace tessera::device
