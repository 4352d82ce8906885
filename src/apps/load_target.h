// What `tessera load` sends to.
#pragma once

#include <memory>

#include "apps/load.h"
#include "base/result.h"
#include "loadgen/target.h"
#include "loadgen/workload.h"

namespace tessera::apps {

// A server behind a wire; its tenants are those of the workload. Error: nobody answers there.
Result<std::unique_ptr<loadgen::Target>> open_target(const LoadOptions& options, const loadgen::Workload& workload);

}  // namespace tessera::apps
