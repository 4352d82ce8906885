#include "sim/report.h"

#include <algorithm>
#include <cstdio>

#include "loadgen/text.h"

namespace tessera::sim {
namespace {

using loadgen::digits;
using loadgen::quoted;

std::string head(const RunInfo& info) {
  return "{\"command\": " + quoted(info.command) + ",\n \"workload\": " + quoted(info.workload) +
         ", \"workload_source\": " + quoted(info.workload_source) + ",\n \"device\": " + quoted(info.device) +
         ", \"devices\": " + std::to_string(info.devices) + ", \"policy\": " + quoted(info.policy) +
         ", \"seed\": " + std::to_string(info.seed) + ",\n ";
}

}  // namespace

std::string table(const std::vector<loadgen::Tenant>& tenants, const Outcome& outcome, std::size_t most) {
  char line[128];
  std::snprintf(line, sizeof line, "goodput %.1f a second; atoms busy %.1f %%\n", outcome.goodput(),
                100 * outcome.busy);
  const bool failed = std::any_of(outcome.tenants.begin(), outcome.tenants.end(),
                                  [](const auto& tenant) { return tenant.tally.failed_count() > 0; });
  const auto columns = failed ? loadgen::Columns::kWithFailed : loadgen::Columns::kOfSimulations;
  return loadgen::table(tenants, outcome, columns, most) + line;
}

std::string json(const RunInfo& info, const std::vector<loadgen::Tenant>& tenants, const Outcome& outcome,
                 const std::string& placement) {
  std::string out = head(info) + "\"seconds\": " + digits(outcome.seconds) +
                    ", \"requests\": " + std::to_string(outcome.requests) +
                    ", \"scheduler_events\": " + std::to_string(outcome.events) +
                    ", \"goodput\": " + digits(outcome.goodput()) + ", \"busy\": " + digits(outcome.busy) +
                    ",\n \"worst_attainment\": " + digits(outcome.worst_attainment()) + ", \"tenants\": [";
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    out += (i == 0 ? "\n  " : ",\n  ") + loadgen::tenant_json(tenants[i], outcome.tenants[i].tally);
  }
  return out + "\n ]" + (placement.empty() ? "" : ",\n \"placement\": " + placement) + "}\n";
}

std::string json(const RunInfo& info, const loadgen::Capacity& capacity, double fractional, double clairvoyant) {
  return head(info) + "\"fractional_bound\": " + digits(fractional) +
         ", \"clairvoyant_bound\": " + digits(clairvoyant) + ", " + loadgen::search_json(capacity) + "}\n";
}

}  // namespace tessera::sim
