// The highest rate that a server carries, by trying.
#pragma once

#include <string>

#include "apps/load.h"
#include "apps/load_tenants.h"
#include "base/result.h"
#include "loadgen/search.h"
#include "loadgen/target.h"

namespace tessera::apps {

struct FoundCapacity {
  loadgen::Capacity capacity;
  std::string invalid;  // the rate at which the generator itself was too slow, twice, and why; empty: none
};

Result<FoundCapacity> search_capacity(const LoadOptions& options, const LoadPlan& plan, loadgen::Target& target);

}  // namespace tessera::apps
