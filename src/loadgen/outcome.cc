#include "loadgen/outcome.h"

#include <algorithm>

namespace tessera::loadgen {

double Outcome::worst_attainment() const {
  double worst = 1;
  for (const TenantOutcome& tenant : tenants) {
    worst = tenant.slo ? std::min(worst, tenant.tally.attainment()) : worst;
  }
  return worst;
}

double Outcome::goodput() const {
  double met = 0;
  for (const TenantOutcome& tenant : tenants) {
    met += tenant.slo ? static_cast<double>(tenant.tally.met_count()) : 0;
  }
  return seconds > 0 ? met / seconds : 0;
}

}  // namespace tessera::loadgen
