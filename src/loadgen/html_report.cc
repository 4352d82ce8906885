#include "loadgen/html_report.h"

#include <algorithm>

#include "loadgen/page.h"
#include "loadgen/plot.h"
#include "loadgen/text.h"

namespace tessera::loadgen {
namespace {

constexpr std::size_t kMostRows = 40;  // of the table and the bars
constexpr std::size_t kMostLines = 8;  // of a chart
constexpr double kAsked = 99;          // % of attainment
constexpr Duration kArmSlices = std::chrono::milliseconds(200);
constexpr std::size_t kArmRuns = 300;

std::string heading(const LoadInfo& info, const std::string& invalid) {
  std::string out = "<h1>Workload " + escaped(info.workload) + " against " + escaped(info.target) + "</h1>\n";
  if (!invalid.empty()) {
    out += "<p class=\"invalid\"><b>This run is invalid:</b> " + escaped(invalid) + "</p>\n";
  }
  return out + "<p><code>" + escaped(info.command) +
         "</code><br>Source of the workload: " + escaped(info.workload_source) + ". Seed " + std::to_string(info.seed) +
         ".</p>\n";
}

// Of tenants with an objective, or of all, the worst first where there are more than `most`.
std::vector<std::size_t> chosen(const Outcome& outcome, bool objectives, std::size_t most) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < outcome.tenants.size(); ++i) {
    if (!objectives || outcome.tenants[i].slo) {
      order.push_back(i);
    }
  }
  if (order.size() > most) {
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return outcome.tenants[a].tally.attainment() < outcome.tenants[b].tally.attainment();
    });
    order.resize(most);
  }
  return order;
}

std::string left_out(std::size_t shown, std::size_t all) {
  return shown < all ? "<p>The worst " + std::to_string(shown) + " of " + std::to_string(all) + " tenants.</p>\n" : "";
}

std::string tenant_table(const std::vector<Tenant>& tenants, const Outcome& outcome) {
  std::string out =
      "<h2>Tenants</h2>\n<div class=\"wide\"><table><tr><th>tenant</th><th>rate</th><th>SLO ms</th><th>offered</th>"
      "<th>answered</th><th>rejected</th><th>failed</th><th>p50 ms</th><th>p99 ms</th><th>p99.9 "
      "ms</th><th>attainment</th></tr>\n";
  const auto cell = [](const std::string& value) { return "<td>" + value + "</td>"; };
  const auto order = chosen(outcome, false, kMostRows);
  for (const std::size_t i : order) {
    const Tally& tally = outcome.tenants[i].tally;
    out += "<tr>" + cell(escaped(tenants[i].spec.name)) + cell(tenants[i].rate > 0 ? digits(tenants[i].rate) : "-") +
           cell(tenants[i].slo ? text("%.2f", ms(*tenants[i].slo)) : "-");
    for (const std::uint64_t count :
         {tally.offered_count(), tally.answered_count(), tally.rejected_count(), tally.failed_count()}) {
      out += cell(std::to_string(count));
    }
    for (const double q : {0.5, 0.99, 0.999}) {
      out += cell(text("%.2f", ms(tally.quantile(q))));
    }
    out += cell(tenants[i].slo ? text("%.2f %%", 100 * tally.attainment()) : "-") + "</tr>\n";
  }
  return out + "</table></div>\n" + left_out(order.size(), tenants.size());
}

std::string attainment_bars(const std::vector<Tenant>& tenants, const Outcome& outcome) {
  const auto order = chosen(outcome, true, kMostRows);
  if (order.empty()) {
    return "";
  }
  constexpr int kRow = 22;
  constexpr int kName = 170;
  constexpr int kBar = 420;
  const int height = kRow * static_cast<int>(order.size());
  std::string out =
      "<h2>Attainment</h2>\n<p>The share of offered requests that were answered within their objective, "
      "counted from when they were to be sent. The dashed line is at 99 %.</p>\n" +
      text("<svg viewBox=\"0 0 680 %d\" role=\"img\">", height + 6);
  int at = 0;
  for (const std::size_t i : order) {
    const double part = outcome.tenants[i].tally.attainment();
    const std::string& name = tenants[i].spec.name;
    out += text("<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", kName - 8, at + 15) +
           escaped(name.size() > 24 ? name.substr(0, 22) + ".." : name) + "</text>";
    out += text("<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", kName, at + 3, part * kBar,
                kRow - 6, 100 * part >= kAsked ? "#009e73" : "#d55e00");
    out += text("<text x=\"%d\" y=\"%d\">%.2f %%</text>", kName + kBar + 8, at + 15, 100 * part);
    at += kRow;
  }
  const double asked = kName + kBar * kAsked / 100;
  out += text("<line class=\"rule\" x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%d\"/></svg>\n", asked, asked, height);
  return out + left_out(order.size(), tenants.size());
}

Plot::Points distribution(const Tally& tally) {
  Plot::Points out;
  for (int percent = 1; percent < 100; ++percent) {
    out.emplace_back(ms(tally.quantile(percent / 100.0)), percent);
  }
  for (const double q : {0.995, 0.999, 0.9999, 1.0}) {
    out.emplace_back(ms(tally.quantile(q)), 100 * q);
  }
  return out;
}

std::string latency_curves(const std::vector<Tenant>& tenants, const Outcome& outcome) {
  const auto order = chosen(outcome, false, kMostLines);
  double low = 1e12;
  double high = 0;
  for (const std::size_t i : order) {
    const Tally& tally = outcome.tenants[i].tally;
    if (tally.answered_count() > 0) {
      low = std::min(low, ms(tally.quantile(0.001)));
      high = std::max(high, ms(tally.quantile(1)));
    }
  }
  if (high <= 0) {
    return "";
  }
  low = std::max(low, 1e-3) * 0.9;
  Plot plot({"latency in ms, from the scheduled arrival", low, std::max(high * 1.1, low * 2), true},
            {"% of answers", 0, 100});
  for (const std::size_t i : order) {
    const Tally& tally = outcome.tenants[i].tally;
    const auto slo = tenants[i].slo;
    if (tally.answered_count() > 0) {
      plot.line(tenants[i].spec.name + (slo ? text(" (SLO %.4g ms)", ms(*slo)) : ""), distribution(tally));
    }
  }
  plot.rule_y(kAsked, "99 %");
  return "<h2>Latencies</h2>\n" + plot.svg() + left_out(order.size(), tenants.size());
}

std::string course(const LoadOutcome& outcome) {
  const double length = std::chrono::duration<double>(outcome.period).count();
  Plot::Points offered;
  Plot::Points good;
  Plot::Points median;
  Plot::Points high;
  double most = 1;
  double slowest = 0.1;
  for (std::size_t i = 0; i < outcome.periods.size(); ++i) {
    const Period& period = outcome.periods[i];
    const double at = static_cast<double>(i) * length + period.seconds / 2;
    offered.emplace_back(at, static_cast<double>(period.tally.offered_count()) / period.seconds);
    good.emplace_back(at, static_cast<double>(period.tally.met_count()) / period.seconds);
    most = std::max(most, offered.back().second);
    if (period.tally.answered_count() > 0) {
      median.emplace_back(at, ms(period.tally.quantile(0.5)));
      high.emplace_back(at, ms(period.tally.quantile(0.99)));
      slowest = std::max(slowest, high.back().second);
    }
  }
  Plot rates({"seconds", 0, outcome.seconds}, {"requests a second", 0, most * 1.05});
  rates.line("offered", offered);
  rates.line("answered within their objective", good);
  Plot latencies({"seconds", 0, outcome.seconds}, {"latency in ms", 0, slowest * 1.05});
  latencies.line("p50", median);
  latencies.line("p99", high);
  return "<h2>Over time</h2>\n<p>By when requests were to be sent; the tenants with an objective, or all where none "
         "has one.</p>\n" +
         rates.svg() + latencies.svg();
}

std::string goodput_curve(const Capacity& capacity) {
  Plot::Points passed;
  Plot::Points failed;
  double most = 1;
  for (const Probe& probe : capacity.probes) {
    (probe.passed ? passed : failed).emplace_back(probe.rate, probe.goodput);
    most = std::max({most, probe.rate, probe.goodput});
  }
  Plot plot({"offered, requests a second", 0, most * 1.05}, {"goodput, a second", 0, most * 1.05});
  plot.line("all that is offered", {{0, 0}, {most, most}});
  plot.dots("every tenant attains 99 %", passed, true);
  plot.dots("one does not", failed, false);
  if (capacity.rate > 0) {
    plot.rule_x(capacity.rate, text("capacity %.4g", capacity.rate));
  }
  return "<h2>Goodput against rate</h2>\n" + plot.svg();
}

Outcome pooled(const Probe& probe) {
  Outcome out = probe.outcomes.front();
  for (std::size_t seed = 1; seed < probe.outcomes.size(); ++seed) {
    out.seconds += probe.outcomes[seed].seconds;
    out.busy.merge(probe.outcomes[seed].busy);
    for (std::size_t i = 0; i < out.tenants.size(); ++i) {
      out.tenants[i].tally.merge(probe.outcomes[seed].tenants[i].tally);
    }
  }
  return out;
}

// Empty where nothing is known.
std::string slices_text(const SliceRuns& known, TimePoint from) {
  const std::string chart = slice_chart(known, from);
  return chart.empty()
             ? ""
             : "<h2>Slices</h2>\n<p>Which batch ran on which atoms, from the begin of what counts; pointing at a "
               "box tells of it. Below, how many atoms were busy for as long as was recorded.</p>\n" +
                   chart + busy_chart(known, from);
}

std::string busy_text(const Busy& busy) {
  return busy.atoms == 0 ? "" : text("<p>Atoms were busy <b>%.1f %%</b> of the time.</p>\n", 100 * busy.share());
}

// Of the highest rate that passed, or else the last that was tried; nothing where none was.
const Probe* shown(const ArmProof& proof) {
  const Probe* best = proof.probes.empty() ? nullptr : &proof.probes.back();
  for (const Probe& probe : proof.probes) {
    best = probe.passed && probe.rate >= proof.carried ? &probe : best;
  }
  return best;
}

std::string arms_table(const std::vector<ArmProof>& proofs) {
  std::string out =
      "<h2>Arms</h2>\n<div class=\"wide\"><table><tr><th>policy</th><th>said</th><th>carries</th><th>verdict</th>"
      "<th>late p99 ms</th><th>atoms busy</th></tr>\n";
  for (const ArmProof& proof : proofs) {
    Lateness late;
    for (const Probe& probe : proof.probes) {
      for (const Outcome& outcome : probe.outcomes) {
        late.merge(outcome.lateness);
      }
    }
    const Probe* best = shown(proof);
    const Busy busy = best == nullptr || best->outcomes.empty() ? Busy() : pooled(*best).busy;
    out += "<tr><td>" + escaped(proof.arm.policy()) +
           text("</td><td>%.4g</td><td>%.4g</td><td>", proof.arm.said, proof.carried) + to_string(proof.verdict) +
           text("</td><td>%.3f</td><td>", ms(late.all.quantile(0.99))) +
           (busy.atoms == 0 ? "-" : text("%.1f %%", 100 * busy.share())) + "</td></tr>\n";
  }
  return out + "</table></div>\n";
}

std::string arms_curves(const std::vector<ArmProof>& proofs) {
  double most = 1;
  double least = 98;
  for (const ArmProof& proof : proofs) {
    for (const Probe& probe : proof.probes) {
      most = std::max({most, probe.rate, probe.goodput});
      least = std::min(least, 100 * probe.worst);
    }
  }
  Plot attained({"offered, requests a second", 0, most * 1.05}, {"% attained by the worst tenant", least, 100});
  Plot good({"offered, requests a second", 0, most * 1.05}, {"goodput, a second", 0, most * 1.05});
  for (const ArmProof& proof : proofs) {
    std::vector<const Probe*> probes;
    for (const Probe& probe : proof.probes) {
      probes.push_back(&probe);
    }
    std::sort(probes.begin(), probes.end(), [](const Probe* a, const Probe* b) { return a->rate < b->rate; });
    Plot::Points worst;
    Plot::Points goodput;
    for (const Probe* probe : probes) {
      worst.emplace_back(probe->rate, 100 * probe->worst);
      goodput.emplace_back(probe->rate, probe->goodput);
    }
    attained.line(proof.arm.policy(), worst);
    good.line(proof.arm.policy(), goodput);
  }
  attained.rule_y(kAsked, "99 %");
  return "<h2>Attainment and goodput against rate</h2>\n" + attained.svg() + good.svg();
}

}  // namespace

std::string html(const LoadInfo& info, const std::vector<Tenant>& tenants, const LoadOutcome& outcome,
                 const SliceRuns& slices) {
  const Lateness& late = outcome.lateness;
  return page(
      "tessera load: " + info.workload,
      heading(info, outcome.invalid) +
          text(
              "<p>Goodput <b>%.1f</b> a second over %.4g s; the worst attainment is <b>%.2f %%</b>. Requests left late "
              "by: p99 %.2f ms, worst %.2f ms (limit of p99 %.2f ms).</p>\n",
              outcome.goodput(), outcome.seconds, 100 * outcome.worst_attainment(), ms(late.all.quantile(0.99)),
              ms(late.worst), ms(late.limit)) +
          busy_text(outcome.busy) + tenant_table(tenants, outcome) + attainment_bars(tenants, outcome) +
          latency_curves(tenants, outcome) + course(outcome) + slices_text(slices, outcome.began));
}

std::string html(const LoadInfo& info, const std::vector<Tenant>& tenants, const std::vector<ArmProof>& proofs,
                 const std::string& invalid, const SliceRuns& slices, const std::vector<TimePoint>& from) {
  std::string out = heading(info, invalid) + arms_table(proofs) + arms_curves(proofs);
  for (std::size_t arm = 0; arm < proofs.size(); ++arm) {
    out += "<h2>" + escaped(proofs[arm].arm.name) + "</h2>\n";
    if (const Probe* best = shown(proofs[arm]); best != nullptr && !best->outcomes.empty()) {
      std::vector<Tenant> there = tenants;
      for (Tenant& tenant : there) {
        tenant.rate *= best->rate;
      }
      const Outcome outcome = pooled(*best);
      out +=
          text("<p>At %.4g a second, %s:</p>\n", best->rate, best->passed ? "which passed" : "where nothing passed") +
          tenant_table(there, outcome) + latency_curves(there, outcome);
    }
    const std::string chart = arm < from.size() ? slice_chart(slices, from[arm], kArmSlices, kArmRuns) : "";
    out += chart.empty() ? "" : "<h2>Slices, while it settled</h2>\n" + chart;
  }
  return page("tessera load: " + info.workload, out);
}

std::string html(const LoadInfo& info, const std::vector<Tenant>& tenants, const Capacity& capacity,
                 const std::string& invalid) {
  std::string out = heading(info, invalid) +
                    text(
                        "<p>Capacity <b>%.1f</b> requests a second, 95 %% sure between %.1f and %.1f, at 99 %% "
                        "attainment of every tenant.</p>\n",
                        capacity.rate, capacity.low, capacity.high) +
                    goodput_curve(capacity);
  const Probe* best = nullptr;
  for (const Probe& probe : capacity.probes) {
    best = probe.passed && probe.rate <= capacity.rate ? &probe : best;
  }
  if (best != nullptr) {
    const Outcome outcome = pooled(*best);
    out += text("<p>From here on: at %.4g a second, %.4g s.</p>\n", best->rate, outcome.seconds) +
           tenant_table(tenants, outcome) + attainment_bars(tenants, outcome) + latency_curves(tenants, outcome);
  }
  return page("tessera load: " + info.workload, out);
}

}  // namespace tessera::loadgen
