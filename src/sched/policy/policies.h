// The policies by name, each in a file of its own. Private to this folder.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "sched/policy.h"

namespace tessera::sched {

using PolicyOptions = std::map<std::string, std::string>;

// Error: an option that the policy does not know, or a value it cannot use.
Result<std::unique_ptr<Policy>> make_temporal(const PolicyOptions& options);
Result<std::unique_ptr<Policy>> make_streams(const PolicyOptions& options);
Result<std::unique_ptr<Policy>> make_fixed(const PolicyOptions& options);
Result<std::unique_ptr<Policy>> make_gslice(const PolicyOptions& options);
Result<std::unique_ptr<Policy>> make_dstack(const PolicyOptions& options);
Result<std::unique_ptr<Policy>> make_tessera(const PolicyOptions& options);

}  // namespace tessera::sched
