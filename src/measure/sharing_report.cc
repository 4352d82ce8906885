#include "measure/sharing_report.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <functional>

namespace tessera::measure {
namespace {

struct Spread {
  double median = 0;
  double least = 0;
  double most = 0;
};

Spread spread(std::vector<double> values) {
  if (values.empty()) {
    return {};
  }
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  const double middle = values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {middle, values.front(), values.back()};
}

Spread over_rounds(const Cell& cell, const std::function<double(const std::vector<Measured>&)>& value) {
  std::vector<double> values;
  for (const auto& round : cell.rounds) {
    values.push_back(value(round));
  }
  return spread(std::move(values));
}

double total(const std::vector<Measured>& round) {
  double sum = 0;
  for (const Measured& tenant : round) {
    sum += tenant.per_second;
  }
  return sum;
}

double worst_ratio(const std::vector<Measured>& round) {
  double worst = 0;
  for (const Measured& tenant : round) {
    worst = std::max(worst, tenant.p50_ms > 0 ? tenant.p99_ms / tenant.p50_ms : 0);
  }
  return worst;
}

// Medians of how much more a cell answers than the same rows under another policy did in the same round.
double against(const Run& run, const Cell& cell, const std::string& policy) {
  for (const Cell& other : run.cells) {
    if (other.policy != policy || other.rows != cell.rows || other.parts != cell.parts) {
      continue;
    }
    std::vector<double> ratios;
    for (std::size_t round = 0; round < std::min(cell.rounds.size(), other.rounds.size()); ++round) {
      ratios.push_back(total(cell.rounds[round]) / total(other.rounds[round]));
    }
    return spread(std::move(ratios)).median;
  }
  return 0;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += c;
  }
  return out + "\"";
}

std::string number(double value) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.4f", value);
  return text.data();
}

std::string as_json(const Spread& value) {
  return "{\"median\":" + number(value.median) + ",\"min\":" + number(value.least) + ",\"max\":" + number(value.most) +
         "}";
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

std::string as_json(const Run& run, const Cell& cell) {
  std::string text = "{\"policy\":" + quoted(cell.policy) + ",\"batch\":" + std::to_string(cell.rows) +
                     ",\"devices\":" + as_json(cell.parts) + ",\"images_per_s\":" + as_json(over_rounds(cell, total)) +
                     ",\"worst_p99_over_p50\":" + as_json(over_rounds(cell, worst_ratio)) +
                     ",\"dispatching\":" + as_json(spread(cell.dispatching)) +
                     (cell.bare_per_s > 0 ? ",\"bare_images_per_s\":" + number(cell.bare_per_s) : "") +
                     ",\"tenants\":[";
  for (std::size_t tenant = 0; tenant < run.tenants.size(); ++tenant) {
    const auto of = [&](double Measured::*member) {
      return as_json(over_rounds(cell, [&](const auto& round) { return round[tenant].*member; }));
    };
    text += (tenant > 0 ? ",\n    " : "\n    ") + ("{\"name\":" + quoted(run.tenants[tenant])) +
            ",\"images_per_s\":" + of(&Measured::per_second) + ",\"p50_ms\":" + of(&Measured::p50_ms) +
            ",\"p99_ms\":" + of(&Measured::p99_ms) + "}";
  }
  return text + "]}";
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

}  // namespace

void print(const Run& run) {
  std::printf("%s, %s; images/s as median (least to most) over rounds; x: against temporal, streams\n",
              run.device.c_str(), run.engine.c_str());
  std::printf("%5s  %-28s %10s %21s %8s %8s %8s %8s %8s\n", "batch", "policy", "images/s", "", "x temp.", "x strms",
              "p99/p50", "x bare", "dispatch");
  for (const Cell& cell : run.cells) {
    const Spread rate = over_rounds(cell, total);
    std::printf("%5lld  %-28s %10.0f (%8.0f to %8.0f) %8.3f %8.3f %8.3f %8.3f %8.3f\n",
                static_cast<long long>(cell.rows), name_of(run, cell).substr(0, 28).c_str(), rate.median, rate.least,
                rate.most, against(run, cell, "temporal"), against(run, cell, "streams"),
                over_rounds(cell, worst_ratio).median, cell.bare_per_s > 0 ? rate.median / cell.bare_per_s : 0,
                spread(cell.dispatching).median);
    for (std::size_t tenant = 0; tenant < run.tenants.size(); ++tenant) {
      const auto of = [&](double Measured::*member) {
        return over_rounds(cell, [&](const auto& round) { return round[tenant].*member; }).median;
      };
      std::printf("         %-26s %10.0f   p50 %8.3f ms  p99 %8.3f ms\n", run.tenants[tenant].c_str(),
                  of(&Measured::per_second), of(&Measured::p50_ms), of(&Measured::p99_ms));
    }
  }
}

std::string json(const Run& run) {
  std::string text = "{\"date\":" + quoted(today()) + ",\"command\":" + quoted(run.command) +
                     ",\"device\":" + quoted(run.device) + ",\"engine\":" + quoted(run.engine) +
                     ",\"seconds\":" + number(run.seconds) + ",\"outstanding\":" + std::to_string(run.outstanding) +
                     ",\"lanes\":" + std::to_string(run.lanes) + ",\"cells\":[";
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
