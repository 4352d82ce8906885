#include "loadgen/outcome.h"

#include <algorithm>

namespace tessera::loadgen {

void Lateness::merge(const Lateness& other) {
  all.merge(other.all);
  worst = std::max(worst, other.worst);
  limit = std::max(limit, other.limit);
}

void Busy::merge(const Busy& other) {
  atom_seconds += other.atom_seconds;
  seconds += other.seconds;
  atoms = std::max(atoms, other.atoms);
}

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
