#include "sim/bounds.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "sim/forms.h"
#include "sim/tenants.h"

namespace tessera::sim {
namespace {

// Processor-seconds a second; nothing where the objective cannot be met.
std::optional<double> demand(const std::vector<Form>& forms, const loadgen::Tenant& tenant, double rate) {
  std::optional<double> least;
  const double slo = tenant.slo ? std::chrono::duration<double>(*tenant.slo).count() : 0;
  for (const Form& form : forms) {
    const bool feasible = !tenant.slo || (form.rows - 1) / rate + form.beside <= slo;
    const double a_row = form.processor_seconds / form.rows;
    if (feasible && (!least || a_row < *least)) {
      least = a_row;
    }
  }
  return least ? std::optional(*least * rate) : std::nullopt;
}

}  // namespace

Result<double> fractional_bound(const DeviceProfile& device, std::size_t devices,
                                const std::vector<loadgen::Tenant>& tenants) {
  TESSERA_ASSIGN_OR_RETURN(const auto models, tenant_models(device, tenants));
  std::vector<std::vector<Form>> forms;
  forms.reserve(models.size());
  for (const TenantModel& model : models) {
    forms.push_back(forms_of(device, model));
  }
  const double processors = static_cast<double>(devices) * device.shape.processors_in(device.shape.whole());
  const auto fits = [&](double total) {
    double sum = 0;
    for (std::size_t i = 0; i < tenants.size(); ++i) {
      if (tenants[i].rate > 0) {
        const auto part = demand(forms[i], tenants[i], tenants[i].rate * total);
        sum += part.value_or(2 * processors);
      }
    }
    return sum <= processors;
  };
  double low = 1e-3;
  double high = 1;
  if (!fits(low)) {
    return 0.0;
  }
  while (fits(high) && high < 1e12) {
    low = high;
    high *= 2;
  }
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace tessera::sim
