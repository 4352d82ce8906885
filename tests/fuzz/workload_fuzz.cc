// Workload, trace and profile files: whatever the bytes, reading ends with a result or one error, and what was read can
// be resolved.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "loadgen/trace.h"
#include "loadgen/workload.h"
#include "sim/profiles.h"

namespace tessera {
namespace {

template <typename T>
void check(const Result<T>& read) {
  TESSERA_CHECK(read.ok() || !read.error().message().empty());
}

Result<loadgen::ModelCost> cost(const std::string&) {
  return loadgen::ModelCost{std::chrono::milliseconds(1), std::chrono::milliseconds(2)};
}

void read(std::string_view bytes) {
  if (bytes.empty() || bytes.front() != '{') {
    check(loadgen::parse_trace(bytes, "trace"));
    return;
  }
  check(sim::parse_profiles(bytes, "profiles"));
  const auto workload = loadgen::parse_workload(
      bytes, "workload", [](const std::string&) -> Result<std::string> { return std::string("1,a\n2,b,3\n"); });
  check(workload);
  if (workload.ok()) {
    const auto tenants = loadgen::resolve(*workload, cost, 100, {});
    check(tenants);
    for (std::size_t i = 0; tenants.ok() && i < tenants->size(); ++i) {
      const loadgen::Tenant& tenant = (*tenants)[i];
      if (tenant.rate > 0) {
        (void)loadgen::make_arrivals(tenant.spec.process, tenant.rate, 1)->next();
      }
    }
  }
}

}  // namespace
}  // namespace tessera

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tessera::read({reinterpret_cast<const char*>(data), size});
  return 0;
}
