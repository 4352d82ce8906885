#include "apps/load_tenants.h"

#include <cmath>
#include <cstdio>
#include <utility>

#include "apps/workload_files.h"
#include "loadgen/generator.h"

namespace tessera::apps {
namespace {

constexpr std::int32_t kEight = 8;

loadgen::TenantSpec spec_of(const LoadOptions& options, const std::string& model) {
  loadgen::TenantSpec spec;
  spec.name = model;
  spec.model = model;
  spec.rows = options.rows;
  spec.max_batch = options.rows;
  spec.outstanding = options.outstanding;
  if (!options.outstanding) {
    spec.share = 1;
  }
  spec.slo_factor = options.slo_factor;
  return spec;
}

bool needs_one(const loadgen::TenantSpec& spec) { return spec.slo_factor.has_value(); }
bool needs_eight(const loadgen::TenantSpec& spec) { return spec.share && spec.by_cost; }

}  // namespace

Result<loadgen::Workload> workload_of(const LoadOptions& options) {
  loadgen::Workload out;
  if (options.workload.empty()) {
    out.name = "models";
    out.source = "command line";
    for (const std::string& model : options.models) {
      out.tenants.push_back(spec_of(options, model));
    }
  } else {
    TESSERA_ASSIGN_OR_RETURN(out, read_workload(options.workload));
  }
  for (loadgen::TenantSpec& spec : out.tenants) {
    const bool objective = spec.slo || spec.slo_factor || options.workload.empty();
    if (options.own_models) {
      spec.model = spec.name;
    }
    if (options.slo_ms && objective) {
      spec.slo = Duration(std::llround(*options.slo_ms * 1e6));
      spec.slo_factor.reset();
    }
  }
  return out;
}

Status LoadPlan::prepare() {
  for (std::size_t i = 0; i < workload.tenants.size(); ++i) {
    for (const std::int32_t rows : loadgen::rows_of(workload.tenants[i])) {
      TESSERA_RETURN_IF_ERROR(target_.prepare(i, rows));
    }
    TESSERA_RETURN_IF_ERROR(measure(i));
  }
  return ok_status();
}

Status LoadPlan::measure(std::size_t tenant) {
  const loadgen::TenantSpec& spec = workload.tenants[tenant];
  loadgen::ModelCost& cost = costs_[spec.model];
  const auto alone = [&](std::int32_t rows, Duration& out) -> Status {
    TESSERA_RETURN_IF_ERROR(target_.prepare(tenant, rows));
    const auto measured = loadgen::latency_alone(target_, tenant, rows);
    if (!measured.ok()) {
      return measured.error().in("model '" + spec.model + "'");
    }
    out = *measured;
    std::fprintf(stderr, "%s alone, %d row%s: %.2f ms\n", spec.model.c_str(), rows, rows == 1 ? "" : "s",
                 static_cast<double>(out.count()) / 1e6);
    return ok_status();
  };
  const bool searched = options_.search && !options_.rate;
  if ((needs_one(spec) || searched) && cost.one == Duration::zero()) {
    TESSERA_RETURN_IF_ERROR(alone(1, cost.one));
  }
  if (needs_eight(spec) && cost.eight == Duration::zero()) {
    TESSERA_RETURN_IF_ERROR(alone(kEight, cost.eight));
  }
  return ok_status();
}

double LoadPlan::careful_rate(const std::vector<loadgen::Tenant>& shares) const {
  // Half of what one request after the other would make of the server.
  double seconds = 0;
  for (const loadgen::Tenant& tenant : shares) {
    seconds += tenant.rate * std::chrono::duration<double>(costs_.at(tenant.spec.model).one).count();
  }
  return 0.5 / seconds;
}

Result<std::vector<loadgen::Tenant>> LoadPlan::tenants(std::optional<double> total_rate) const {
  return loadgen::resolve(
      workload, [this](const std::string& model) { return Result<loadgen::ModelCost>(costs_.at(model)); }, total_rate,
      options_.slo_factor);
}

}  // namespace tessera::apps
