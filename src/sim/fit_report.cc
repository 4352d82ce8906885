#include "loadgen/text.h"
#include "sim/fit.h"

namespace tessera::sim {
namespace {

using loadgen::digits;
using loadgen::ms;
using loadgen::quoted;
using loadgen::text;

std::string tally_json(const loadgen::Tally& tally) {
  return "{\"offered\": " + std::to_string(tally.offered_count()) + ", \"attainment\": " + digits(tally.attainment()) +
         ", \"p50_ms\": " + digits(ms(tally.quantile(0.5))) + ", \"p99_ms\": " + digits(ms(tally.quantile(0.99))) + "}";
}

std::string share(const FitTenant& tenant, const loadgen::Tally& tally) {
  return tenant.slo ? text("%.2f %%", 100 * tally.attainment()) : std::string("-");
}

}  // namespace

std::string json(const FitQuestion& question, const FitAnswer& answer) {
  std::string out = "{\"fits\": " + std::string(answer.fits ? "true" : "false") +
                    ", \"policy\": " + quoted(question.policy) + ", \"device\": " + quoted(question.device.shape.name) +
                    ", \"devices\": " + std::to_string(question.devices) +
                    ", \"attainment_asked\": " + digits(question.attainment) + ",\n \"tenants\": [";
  const char* comma = "\n  ";
  for (const FitTenant& tenant : answer.tenants) {
    out += comma;
    out += "{\"name\": " + quoted(tenant.name) + ", \"model\": " + quoted(tenant.model) +
           ", \"rate\": " + digits(tenant.rate) + ", \"slo_ms\": " + (tenant.slo ? digits(ms(*tenant.slo)) : "null") +
           ", \"candidate\": " + (tenant.before ? "false" : "true") +
           ", \"suffers\": " + (tenant.suffers ? "true" : "false") +
           ",\n   \"without\": " + (tenant.before ? tally_json(*tenant.before) : "null") +
           ", \"with\": " + tally_json(tenant.after) + "}";
    comma = ",\n  ";
  }
  out += "],\n \"would_fit\": ";
  if (answer.fits) {
    out += "null";
  } else {
    out += "{\"rate\": " + (answer.highest_rate ? digits(*answer.highest_rate) : "null") +
           ", \"slo_ms\": " + (answer.smallest_slo ? digits(ms(*answer.smallest_slo)) : "null") +
           ", \"devices\": " + (answer.devices ? std::to_string(*answer.devices) : "null") + "}";
  }
  return out + ",\n \"runs\": " + std::to_string(answer.runs) +
         ", \"complete\": " + (answer.complete ? "true" : "false") + ", \"sure\": " + (answer.sure ? "true" : "false") +
         "}\n";
}

std::string table(const FitAnswer& answer) {
  std::string out = text("%-20s %9s %9s %11s %11s %11s %11s\n", "tenant", "rate", "SLO ms", "without", "with",
                         "p99 without", "p99 with");
  for (const FitTenant& tenant : answer.tenants) {
    const std::string name = tenant.name.size() > 20 ? tenant.name.substr(0, 18) + ".." : tenant.name;
    out += text("%-20s %9s %9s %11s %11s %11s %11s%s\n", name.c_str(),
                tenant.rate > 0 ? digits(tenant.rate).c_str() : "-", tenant.slo ? digits(ms(*tenant.slo)).c_str() : "-",
                tenant.before ? share(tenant, *tenant.before).c_str() : "", share(tenant, tenant.after).c_str(),
                tenant.before ? text("%.2f", ms(tenant.before->quantile(0.99))).c_str() : "",
                text("%.2f", ms(tenant.after.quantile(0.99))).c_str(), tenant.suffers ? "  <-" : "");
  }
  return out;
}

std::string verdict(const FitQuestion& question, const FitAnswer& answer) {
  const std::string& name = question.candidate.spec.name;
  std::string out;
  if (answer.fits) {
    out = "It fits: " + name + " and all who had it attain " + digits(100 * question.attainment) + " %.";
  } else {
    out = "It does not fit.";
    if (answer.highest_rate) {
      out += " With this objective " + digits(*answer.highest_rate) + " a second would.";
    }
    if (answer.smallest_slo) {
      out += " At this rate an objective of " + digits(ms(*answer.smallest_slo)) + " ms would.";
    }
    if (answer.devices) {
      out += " So would " + std::to_string(*answer.devices) + " devices.";
    }
    const bool nothing = !answer.highest_rate && !answer.smallest_slo && !answer.devices;
    if (nothing && answer.complete) {
      out += " Neither a lower rate nor a wider objective nor up to " + std::to_string(question.most_devices) +
             " devices would do.";
    }
  }
  if (!answer.complete) {
    out += " There was no time to try everything.";
  }
  if (!answer.sure) {
    out += " Runs were short for such low rates: take it as a hint.";
  }
  return out + "\n";
}

}  // namespace tessera::sim
