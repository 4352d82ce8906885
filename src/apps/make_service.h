// The server without its wire, as the flags of `tessera serve` describe it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "apps/devices.h"
#include "apps/serve_options.h"
#include "base/result.h"
#include "device/host/topology.h"
#include "runtime/service.h"

namespace tessera::apps {

// How the devices that a choice names are opened, those of the start and each that is added later; a DeviceOpener but
// in tests.
using OpenDevices =
    std::function<Result<std::vector<Computing>>(const DeviceChoice&, const device::HostTopology&, Bytes max_body)>;

// Who hears of what befalls devices: on_all_lost and on_stuck of runtime::ServiceOptions.
struct ServiceEvents {
  std::function<void()> all_lost = [] {};
  std::function<void()> stuck = [] {};
};

// Error: a device that cannot be used, an unknown policy, a file that cannot be recorded into.
Result<std::unique_ptr<runtime::Service>> make_service(const ServeOptions& options,
                                                       const device::HostTopology& topology, ServiceEvents told,
                                                       const OpenDevices& open = DeviceOpener());

}  // namespace tessera::apps
