#include "loadgen/load_report.h"

#include <cstdio>

#include "loadgen/text.h"

namespace tessera::loadgen {
namespace {

std::string head(const LoadInfo& info, const std::string& invalid) {
  return "{\"command\": " + quoted(info.command) + ",\n \"workload\": " + quoted(info.workload) +
         ", \"workload_source\": " + quoted(info.workload_source) + ",\n \"target\": " + quoted(info.target) +
         ", \"seed\": " + std::to_string(info.seed) + ",\n \"valid\": " + (invalid.empty() ? "true" : "false") +
         ", \"invalid_because\": " + (invalid.empty() ? "null" : quoted(invalid)) + ",\n ";
}

std::string lateness_json(const Lateness& late) {
  return "\"lateness\": {\"p50_ms\": " + digits(ms(late.all.quantile(0.5))) +
         ", \"p99_ms\": " + digits(ms(late.all.quantile(0.99))) + ", \"worst_ms\": " + digits(ms(late.worst)) +
         ", \"limit_of_p99_ms\": " + digits(ms(late.limit)) + "}";
}

std::string busy_json(const Busy& busy) {
  return "\"busy\": " + (busy.atoms == 0 ? "null"
                                         : "{\"share\": " + digits(busy.share()) + ", \"atom_seconds\": " +
                                               digits(busy.atom_seconds) + ", \"seconds\": " + digits(busy.seconds) +
                                               ", \"atoms\": " + std::to_string(busy.atoms) + "}");
}

// Over all seeds.
std::string pooled_json(const std::vector<Outcome>& outcomes) {
  Lateness late;
  Busy busy;
  double seconds = 0;
  for (const Outcome& outcome : outcomes) {
    late.merge(outcome.lateness);
    seconds += outcome.seconds;
    busy.merge(outcome.busy);
  }
  return lateness_json(late) + ", " + busy_json(busy) + ", \"seconds\": " + digits(seconds);
}

std::string failures_json(const Failures& failures) {
  std::string out = "{";
  for (const auto& [text, count] : failures) {
    out += (out.size() == 1 ? "" : ", ") + quoted(text) + ": " + std::to_string(count);
  }
  return out + "}";
}

// What simulations have not.
std::string more_json(const Tally& tally, const Failures& failures) {
  return ", \"failures\": " + failures_json(failures) + ", \"p90_ms\": " + digits(ms(tally.quantile(0.9))) +
         ", \"p999_ms\": " + digits(ms(tally.quantile(0.999)));
}

// A list of numbers, one of each step.
template <typename Number>
std::string column(const char* name, const std::vector<Moment>& timeline, Number number) {
  std::string out = "\"" + std::string(name) + "\": [";
  for (const Moment& moment : timeline) {
    out += (&moment == timeline.data() ? "" : ",") + number(moment);
  }
  return out + "]";
}

std::string timeline_json(const std::vector<Moment>& timeline) {
  const auto count = [&](const char* name, std::uint32_t Moment::*member) {
    return column(name, timeline, [member](const Moment& moment) { return std::to_string(moment.*member); });
  };
  return ",\n   \"timeline\": {" + count("offered", &Moment::offered) + ",\n    " +
         count("answered", &Moment::answered) + ",\n    " + count("met", &Moment::met) + ",\n    " +
         count("failed", &Moment::failed) + ",\n    " +
         column("slowest_ms", timeline, [](const Moment& moment) { return digits(ms(moment.slowest)); }) + "}";
}

std::string period_json(const LoadOutcome& outcome, std::size_t place) {
  const Period& period = outcome.periods[place];
  const double length = std::chrono::duration<double>(outcome.period).count();
  const Tally& tally = period.tally;
  return "{\"at\": " + digits(static_cast<double>(place) * length) +
         ", \"offered\": " + std::to_string(tally.offered_count()) +
         ", \"answered\": " + std::to_string(tally.answered_count()) +
         ", \"rejected\": " + std::to_string(tally.rejected_count()) +
         ", \"failed\": " + std::to_string(tally.failed_count()) +
         ", \"goodput\": " + digits(static_cast<double>(tally.met_count()) / period.seconds) +
         ", \"p50_ms\": " + digits(ms(tally.quantile(0.5))) + ", \"p99_ms\": " + digits(ms(tally.quantile(0.99))) + "}";
}

}  // namespace

std::string table(const std::vector<Tenant>& tenants, const LoadOutcome& outcome) {
  std::string out = table(tenants, outcome, Columns::kWithFailed);
  std::size_t objectives = 0;
  std::size_t proven = 0;
  for (const TenantOutcome& tenant : outcome.tenants) {
    const std::uint64_t offered = tenant.tally.offered_count();
    objectives += tenant.slo ? 1 : 0;
    proven += tenant.slo && offered >= early_stopping_requests(offered - tenant.tally.met_count()) ? 1 : 0;
  }
  const Lateness& late = outcome.lateness;
  char line[256];
  std::snprintf(line, sizeof line, "goodput %.1f a second; p99 within the objective, 99 %% sure: %zu of %zu tenants\n",
                outcome.goodput(), proven, objectives);
  out += line;
  std::snprintf(line, sizeof line, "requests left late by: p99 %.2f ms, worst %.2f ms (limit of p99 %.2f ms)\n",
                ms(late.all.quantile(0.99)), ms(late.worst), ms(late.limit));
  out += line;
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    for (const auto& [text, count] : outcome.failures[i]) {
      out += tenants[i].spec.name + ": " + std::to_string(count) + " failed: " + text + "\n";
    }
  }
  return out;
}

std::string json(const LoadInfo& info, const std::vector<Tenant>& tenants, const LoadOutcome& outcome) {
  std::string out = head(info, outcome.invalid) + lateness_json(outcome.lateness) + ",\n " + busy_json(outcome.busy) +
                    ", \"seconds\": " + digits(outcome.seconds) + ", \"goodput\": " + digits(outcome.goodput()) +
                    ", \"worst_attainment\": " + digits(outcome.worst_attainment()) + ",\n \"tenants\": [";
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    const Tally& tally = outcome.tenants[i].tally;
    out +=
        (i == 0 ? "\n  " : ",\n  ") +
        tenant_json(tenants[i], tally, more_json(tally, outcome.failures[i]) + timeline_json(outcome.timelines.of(i)));
  }
  char began[32];
  std::snprintf(began, sizeof began, "%.3f", outcome.began_at);
  out += "\n ],\n \"timeline_began_at\": " + std::string(began) +
         ", \"timeline_step_seconds\": " + digits(std::chrono::duration<double>(outcome.timelines.step()).count()) +
         ",\n \"period_seconds\": " + digits(std::chrono::duration<double>(outcome.period).count()) +
         ", \"periods\": [";
  for (std::size_t i = 0; i < outcome.periods.size(); ++i) {
    out += (i == 0 ? "\n  " : ",\n  ") + period_json(outcome, i);
  }
  return out + "\n ]}\n";
}

std::string trial_json(const std::vector<Tenant>& tenants, double rate, const Outcome& outcome,
                       const std::string& invalid) {
  std::string out = "{\"rate\": " + digits(rate) +
                    ", \"invalid_because\": " + (invalid.empty() ? "null" : quoted(invalid)) + ", " +
                    pooled_json({outcome}) + ", \"tenants\": [";
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    out += (i == 0 ? "" : ", ") + tenant_json(tenants[i], outcome.tenants[i].tally);
  }
  return out + "]}";
}

std::string line(const Arm& arm, const Probe& probe) {
  char out[256];
  std::snprintf(out, sizeof out, "%12s  %9.1f a second, %.3f of what is said: %s, worst tenant %6.2f %%%s\n",
                arm.policy().c_str(), probe.rate, probe.rate / arm.said, probe.passed ? "passed" : "failed",
                100 * probe.worst, probe.complete ? "" : ", cut short");
  return out;
}

std::string table(const std::vector<ArmProof>& proofs) {
  std::string out;
  char line[256];
  for (const ArmProof& proof : proofs) {
    std::snprintf(line, sizeof line, "%12s  carries %.1f a second, %s (%.1f)\n", proof.arm.policy().c_str(),
                  proof.carried, to_string(proof.verdict).c_str(), proof.arm.said);
    out += line;
  }
  return out;
}

std::string json(const LoadInfo& info, const std::vector<Tenant>& tenants, const std::vector<ArmProof>& proofs,
                 const std::string& invalid) {
  std::string out = head(info, invalid) + "\"arms\": [";
  for (const ArmProof& proof : proofs) {
    out += (&proof == &proofs.front() ? "\n  " : ",\n  ") + ("{\"policy\": " + quoted(proof.arm.name)) +
           ", \"said\": " + digits(proof.arm.said) + ", \"carried\": " + digits(proof.carried) +
           ", \"verdict\": " + quoted(to_string(proof.verdict)) + ",\n   \"probes\": [";
    for (const Probe& probe : proof.probes) {
      std::string all = ", \"seeds\": " + std::to_string(probe.outcomes.size()) + ", " + pooled_json(probe.outcomes) +
                        ",\n     \"tenants\": [";
      for (std::size_t i = 0; i < tenants.size(); ++i) {
        Tenant tenant = tenants[i];
        tenant.rate *= probe.rate;
        all += (i == 0 ? "\n      " : ",\n      ") + tenant_json(tenant, pooled(probe.outcomes, i));
      }
      out += (&probe == &proof.probes.front() ? "\n    " : ",\n    ") + probe_json(probe, all + "\n     ]");
    }
    out += "\n   ]}";
  }
  return out + "\n ]}\n";
}

std::string json(const LoadInfo& info, const Capacity& capacity, const std::string& invalid) {
  return head(info, invalid) + search_json(capacity) + "}\n";
}

}  // namespace tessera::loadgen
