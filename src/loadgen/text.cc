#include "loadgen/text.h"

#include <algorithm>
#include <numeric>

namespace tessera::loadgen {
namespace {

// A name as wide as its column, cut where it is longer.
std::string column(const std::string& name) {
  constexpr std::size_t kWide = 24;
  std::string out = name.size() > kWide ? name.substr(0, kWide - 2) + ".." : name;
  out.resize(kWide, ' ');
  return out;
}

std::string row(const Tenant& tenant, const Tally& tally, Columns columns) {
  std::string out = column(tenant.spec.name);
  out += tenant.slo ? text("%10.2f", ms(*tenant.slo)) : text("%10s", "-");
  out += text("%10llu%10llu%10llu", static_cast<unsigned long long>(tally.offered_count()),
              static_cast<unsigned long long>(tally.answered_count()),
              static_cast<unsigned long long>(tally.rejected_count()));
  if (columns == Columns::kWithFailed) {
    out += text("%10llu", static_cast<unsigned long long>(tally.failed_count()));
  }
  out += text("%10.2f%10.2f", ms(tally.quantile(0.5)), ms(tally.quantile(0.99)));
  out += tenant.slo ? text("%11.2f %%", 100 * tally.attainment()) : text("%13s", "-");
  return out + "\n";
}

}  // namespace

std::string quoted(const std::string& value) {
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

std::string digits(double value) { return text("%.6g", value); }

std::string table(const std::vector<Tenant>& tenants, const Outcome& outcome, Columns columns, std::size_t most) {
  std::vector<std::size_t> order(tenants.size());
  std::iota(order.begin(), order.end(), 0U);
  if (order.size() > most) {
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return outcome.tenants[a].tally.attainment() < outcome.tenants[b].tally.attainment();
    });
    order.resize(most);
  }
  std::string out = column("tenant") + text("%10s%10s%10s%10s", "SLO ms", "offered", "answered", "rejected");
  out += columns == Columns::kWithFailed ? text("%10s", "failed") : "";
  out += text("%10s%10s%13s\n", "p50 ms", "p99 ms", "attainment");
  Tally all;
  for (const TenantOutcome& tenant : outcome.tenants) {
    all.merge(tenant.tally);
  }
  for (const std::size_t place : order) {
    out += row(tenants[place], outcome.tenants[place].tally, columns);
  }
  if (order.size() < tenants.size()) {
    out += "(the worst " + std::to_string(order.size()) + " of " + std::to_string(tenants.size()) + " tenants)\n";
  }
  Tenant sum;
  sum.spec.name = "all";
  out += row(sum, all, columns);
  return out;
}

std::string tenant_json(const Tenant& tenant, const Tally& tally, const std::string& more) {
  const std::uint64_t over = tally.offered_count() - tally.met_count();
  std::string out = "{\"name\": " + quoted(tenant.spec.name) + ", \"model\": " + quoted(tenant.spec.model);
  out += ", \"rate\": " + digits(tenant.rate);
  out += ", \"slo_ms\": " + (tenant.slo ? digits(ms(*tenant.slo)) : "null");
  out += ", \"offered\": " + std::to_string(tally.offered_count());
  out += ", \"answered\": " + std::to_string(tally.answered_count());
  out += ", \"rejected\": " + std::to_string(tally.rejected_count());
  out += ", \"failed\": " + std::to_string(tally.failed_count());
  out += ", \"met\": " + std::to_string(tally.met_count());
  out += ", \"p50_ms\": " + digits(ms(tally.quantile(0.5))) + ", \"p99_ms\": " + digits(ms(tally.quantile(0.99)));
  if (tenant.slo) {
    const Interval sure = wilson(tally.met_count(), tally.offered_count());
    out += ", \"attainment\": " + digits(tally.attainment());
    out += ", \"attainment_95\": [" + digits(sure.low) + ", " + digits(sure.high) + "]";
    // With the confidence of 99 % by MLPerf's early-stopping rule.
    const bool proven = tally.offered_count() >= early_stopping_requests(over);
    out += std::string(", \"p99_within_slo_proven\": ") + (proven ? "true" : "false");
  }
  return out + more + "}";
}

std::string probe_json(const Probe& probe, const std::string& more) {
  return "{\"rate\": " + digits(probe.rate) + ", \"passed\": " + (probe.passed ? "true" : "false") +
         ", \"complete\": " + (probe.complete ? "true" : "false") + ", \"worst_attainment\": " + digits(probe.worst) +
         ", \"goodput\": " + digits(probe.goodput) + more + "}";
}

std::string search_json(const Capacity& capacity) {
  std::string out = "\"capacity\": " + digits(capacity.rate) + ", \"capacity_95\": [" + digits(capacity.low) + ", " +
                    digits(capacity.high) + "], \"goodput\": " + digits(capacity.goodput) + ",\n \"probes\": [";
  for (std::size_t i = 0; i < capacity.probes.size(); ++i) {
    out += (i == 0 ? "\n  " : ",\n  ") + probe_json(capacity.probes[i]);
  }
  return out + "\n ]";
}

}  // namespace tessera::loadgen
