#include "measure/sharing_report.h"

#include <algorithm>
#include <cstdio>
#include <functional>

#include "measure/numbers.h"
#include "measure/text.h"

namespace tessera::measure {
namespace {

Spread spread_of(const std::vector<std::vector<Measured>>& rounds,
                 const std::function<double(const std::vector<Measured>&)>& value) {
  std::vector<double> values;
  values.reserve(rounds.size());
  for (const auto& round : rounds) {
    values.push_back(value(round));
  }
  return spread(std::move(values));
}

// Medians of how much more a cell answers than the same rows under another policy did in the same round.
double against(const Run& run, const Cell& cell, const std::string& policy) {
  for (const Cell& other : run.cells) {
    if (other.policy != policy || other.rows != cell.rows || other.parts != cell.parts) {
      continue;
    }
    std::vector<double> ratios;
    for (std::size_t round = 0; round < std::min(cell.rounds.size(), other.rounds.size()); ++round) {
      ratios.push_back(images(cell.rounds[round]) / images(other.rounds[round]));
    }
    return spread(std::move(ratios)).median;
  }
  return 0;
}

// Of each round against the bare launches of that round.
Spread against_bare(const Cell& cell, const Cell& bare) {
  std::vector<double> ratios;
  for (std::size_t round = 0; round < std::min(cell.rounds.size(), bare.bare.size()); ++round) {
    ratios.push_back(images(cell.rounds[round]) / images(bare.bare[round]));
  }
  return spread(std::move(ratios));
}

std::string as_json(const std::vector<std::size_t>& places) {
  std::string text;
  for (const std::size_t place : places) {
    text += (text.empty() ? "" : ",") + std::to_string(place);
  }
  return "[" + text + "]";
}

// "tessera" or, where there are others, "tessera on 0,1".
std::string name_of(const Run& run, const Cell& cell) {
  const bool several =
      std::any_of(run.cells.begin(), run.cells.end(), [](const Cell& any) { return any.parts.size() > 1; });
  const std::string places = as_json(cell.parts);
  return cell.policy + (several ? " on " + places.substr(1, places.size() - 2) : "");
}

std::string tenants_json(const Run& run, const std::vector<std::vector<Measured>>& rounds) {
  std::string text;
  for (std::size_t tenant = 0; tenant < run.tenants.size(); ++tenant) {
    const auto of = [&](double Measured::*member) {
      return as_json(spread_of(rounds, [&](const auto& round) { return round[tenant].*member; }));
    };
    text += (tenant > 0 ? ",\n    " : "\n    ") + ("{\"name\":" + quoted(run.tenants[tenant])) +
            ",\"images_per_s\":" + of(&Measured::per_second) + ",\"p50_ms\":" + of(&Measured::p50_ms) +
            ",\"p99_ms\":" + of(&Measured::p99_ms) + "}";
  }
  return "[" + text + "]";
}

std::string bare_json(const Run& run, const Cell& cell) {
  const Cell* const bare = bare_for(run, cell);
  if (bare == nullptr) {
    return "";
  }
  std::string text =
      ",\n   \"of_bare\":" + as_json(against_bare(cell, *bare)) + ",\"bare_rule\":" + quoted(bare->policy);
  if (bare == &cell) {
    text += ",\"bare_images_per_s\":" + as_json(spread_of(cell.bare, images)) +
            ",\"bare_worst_p99_over_p50\":" + as_json(spread_of(cell.bare, worst_p99_over_p50)) +
            ",\"bare_tenants\":" + tenants_json(run, cell.bare);
  }
  return text;
}

std::string as_json(const Run& run, const Cell& cell) {
  return "{\"policy\":" + quoted(cell.policy) + ",\"batch\":" + std::to_string(cell.rows) +
         ",\"devices\":" + as_json(cell.parts) + ",\"rounds\":" + std::to_string(cell.rounds.size()) +
         ",\"images_per_s\":" + as_json(spread_of(cell.rounds, images)) +
         ",\"worst_p99_over_p50\":" + as_json(spread_of(cell.rounds, worst_p99_over_p50)) +
         ",\"dispatching\":" + as_json(spread(cell.dispatching)) + ",\"polling\":" + as_json(spread(cell.polling)) +
         ",\"cpu_us_per_image\":" + as_json(spread(cell.cpu_us)) + bare_json(run, cell) +
         ",\n   \"tenants\":" + tenants_json(run, cell.rounds) + "}";
}

}  // namespace

double images(const std::vector<Measured>& round) {
  double sum = 0;
  for (const Measured& tenant : round) {
    sum += tenant.per_second;
  }
  return sum;
}

double worst_p99_over_p50(const std::vector<Measured>& round) {
  double worst = 0;
  for (const Measured& tenant : round) {
    worst = std::max(worst, tenant.p50_ms > 0 ? tenant.p99_ms / tenant.p50_ms : 0);
  }
  return worst;
}

const Cell* bare_for(const Run& run, const Cell& cell) {
  if (!cell.bare.empty()) {
    return &cell;
  }
  const auto fixed = std::find_if(run.cells.begin(), run.cells.end(), [&](const Cell& other) {
    return cell.policy == "tessera" && other.policy == "fixed" && other.rows == cell.rows &&
           other.parts == cell.parts && !other.bare.empty();
  });
  return fixed == run.cells.end() ? nullptr : &*fixed;
}

void print(const Run& run) {
  std::printf("%s, %s\n", run.device.c_str(), run.engine.c_str());
  std::puts(
      "images/s: median (least to most) over rounds; x temp, x strms: against temporal, streams of the same round; "
      "p99/p50: of "
      "the\nworst tenant, and of bare launches; x bare: images/s against bare launches (tessera: those of fixed "
      "slices); "
      "disp, poll:\nshare of the time in which the dispatcher's role was held, processor time of the thread that looks "
      "for ends; CPU: of the\nprocess, for an image");
  std::printf("%5s  %-22s %9s %19s %7s %7s %7s %7s %7s %6s %6s %7s\n", "batch", "policy", "images/s", "", "x temp",
              "x strms", "p99/p50", "(bare)", "x bare", "disp", "poll", "CPU us");
  for (const Cell& cell : run.cells) {
    if (cell.rounds.empty()) {
      continue;
    }
    const Spread rate = spread_of(cell.rounds, images);
    const Cell* const bare = bare_for(run, cell);
    std::printf("%5lld  %-22s %9.0f (%7.0f to %7.0f) %7.3f %7.3f %7.3f %7.3f %7.3f %6.3f %6.3f %7.1f\n",
                static_cast<long long>(cell.rows), name_of(run, cell).substr(0, 22).c_str(), rate.median, rate.least,
                rate.most, against(run, cell, "temporal"), against(run, cell, "streams"),
                spread_of(cell.rounds, worst_p99_over_p50).median,
                bare != nullptr ? spread_of(bare->bare, worst_p99_over_p50).median : 0,
                bare != nullptr ? against_bare(cell, *bare).median : 0, spread(cell.dispatching).median,
                spread(cell.polling).median, spread(cell.cpu_us).median);
    for (std::size_t tenant = 0; tenant < run.tenants.size(); ++tenant) {
      const auto of = [&](double Measured::*member) {
        return spread_of(cell.rounds, [&](const auto& round) { return round[tenant].*member; }).median;
      };
      std::printf("         %-20s %9.0f   p50 %8.3f ms  p99 %8.3f ms", run.tenants[tenant].substr(0, 20).c_str(),
                  of(&Measured::per_second), of(&Measured::p50_ms), of(&Measured::p99_ms));
      if (bare == &cell) {
        const auto of_bare = [&](double Measured::*member) {
          return spread_of(cell.bare, [&](const auto& round) { return round[tenant].*member; }).median;
        };
        std::printf("   bare %9.0f   p50 %8.3f ms  p99 %8.3f ms", of_bare(&Measured::per_second),
                    of_bare(&Measured::p50_ms), of_bare(&Measured::p99_ms));
      }
      std::puts("");
    }
  }
}

std::string json(const Run& run) {
  std::string text = "{\"date\":" + quoted(today()) + ",\"command\":" + quoted(run.command) +
                     ",\"device\":" + quoted(run.device) + ",\"engine\":" + quoted(run.engine) +
                     ",\"seconds\":" + number(run.seconds, kFormat) +
                     ",\"outstanding\":" + std::to_string(run.outstanding) + ",\"lanes\":" + std::to_string(run.lanes) +
                     ",\"cells\":[";
  std::string cells;
  for (const Cell& cell : run.cells) {
    if (!cell.rounds.empty()) {
      cells += (cells.empty() ? "\n  " : ",\n  ") + as_json(run, cell);
    }
  }
  text += cells;
  return text + "\n]}\n";
}

}  // namespace tessera::measure
