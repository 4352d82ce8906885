// The server without its wire, as the flags of `tessera serve` describe it.
#pragma once

#include <functional>
#include <memory>

#include "apps/serve_options.h"
#include "base/result.h"
#include "device/host/topology.h"
#include "runtime/service.h"

namespace tessera::apps {

// `on_all_lost` as in runtime::ServiceOptions. Error: a device that cannot be used, an unknown policy.
Result<std::unique_ptr<runtime::Service>> make_service(const ServeOptions& options,
                                                       const device::HostTopology& topology,
                                                       std::function<void()> on_all_lost);

}  // namespace tessera::apps
