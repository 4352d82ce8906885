#include "apps/profile_report.h"

#include <algorithm>
#include <map>

#include "loadgen/page.h"
#include "loadgen/plot.h"
#include "loadgen/text.h"

namespace tessera::apps {
namespace {

using loadgen::escaped;
using loadgen::ms;
using loadgen::Plot;
using loadgen::text;
using measure::Grid;
using measure::GridPoint;

double rows_per_second(const GridPoint& point) { return point.rows / (ms(point.median) * 1e-3); }

std::string place_text(const GridPoint& point) {
  return text("%d row%s on %d processor%s", point.rows, point.rows == 1 ? "" : "s", point.processors,
              point.processors == 1 ? "" : "s");
}

// Lines of one batch size each, from what `value` makes of their points.
template <typename Value>
std::map<std::int32_t, Plot::Points> by_rows(const Grid& grid, Value value) {
  std::map<std::int32_t, Plot::Points> out;
  for (std::size_t i = 0; i < grid.points.size(); ++i) {
    out[grid.points[i].rows].emplace_back(grid.points[i].processors, value(i));
  }
  return out;
}

// A little room on both sides of what a logarithmic axis shows.
Plot::Axis axis_of(const std::string& label, const std::map<std::int32_t, Plot::Points>& lines, bool upright) {
  double low = 1e300;
  double high = 0;
  for (const auto& [rows, points] : lines) {
    for (const auto& [x, y] : points) {
      low = std::min(low, upright ? y : x);
      high = std::max(high, upright ? y : x);
    }
  }
  return {label, low * 0.85, std::max(high * 1.18, low * 1.5), true};
}

template <typename Value>
Plot lines_of(const Grid& grid, const std::string& label, Value value) {
  const auto lines = by_rows(grid, value);
  Plot plot(axis_of("processors of the slice", lines, false), axis_of(label, lines, true));
  for (const auto& [rows, points] : lines) {
    plot.line(text("batch of %d", rows), points);
  }
  return plot;
}

std::string figures(const Grid& grid, const Efficacies& found) {
  Plot latency = lines_of(grid, "latency in ms, median", [&](std::size_t i) { return ms(grid.points[i].median); });
  if (grid.slo) {
    latency.rule_y(ms(*grid.slo), text("SLO %.4g ms", ms(*grid.slo)));
  }
  const double most = *std::max_element(found.of.begin(), found.of.end());
  Plot efficacy = lines_of(grid, "efficacy, % of the highest", [&](std::size_t i) { return 100 * found.of[i] / most; });
  Plot each = lines_of(grid, "rows a second for each processor",
                       [&](std::size_t i) { return rows_per_second(grid.points[i]) / grid.points[i].processors; });
  if (found.knee) {
    const GridPoint& knee = grid.points[*found.knee];
    latency.dots("the knee", {{knee.processors, ms(knee.median)}}, true);
    efficacy.dots("the knee", {{knee.processors, 100 * found.of[*found.knee] / most}}, true);
    each.dots("the knee", {{knee.processors, rows_per_second(knee) / knee.processors}}, true);
  }
  return "<h3>Latency</h3>\n" + latency.svg() +
         "<h3>Efficacy</h3>\n<p>Rows / (latency&#178; &#215; processors): what of a device an answer takes, and how "
         "long it takes.</p>\n" +
         efficacy.svg() + "<h3>Throughput for what it takes</h3>\n" + each.svg();
}

std::string rows_of_table(const Grid& grid, const Efficacies& found) {
  std::string out =
      "<div class=\"wide\"><table><tr><th>rows</th><th>processors</th><th>runs</th><th>fastest ms</th><th>median "
      "ms</th><th>slowest ms</th><th>rows a second</th><th>efficacy</th></tr>\n";
  for (std::size_t i = 0; i < grid.points.size(); ++i) {
    const GridPoint& point = grid.points[i];
    const char* bold = found.knee == i ? "<b>" : "";
    const char* end = found.knee == i ? "</b>" : "";
    out += text("<tr><td>%s%d%s</td><td>%s%d%s</td><td>%d</td>", bold, point.rows, end, bold, point.processors, end,
                point.runs);
    out += text("<td>%.3f</td><td>%s%.3f%s</td><td>%.3f</td><td>%.1f</td><td>%.4g</td></tr>\n", ms(point.fastest), bold,
                ms(point.median), end, ms(point.slowest), rows_per_second(point), found.of[i]);
  }
  return out + "</table></div>\n";
}

std::string knee_sentence(const Grid& grid, const Efficacies& found) {
  if (!found.knee) {
    return text(
        "No batch keeps the objective of %.4g ms: twice the run has to fit, and the time a batch takes to fill.",
        ms(grid.slo.value_or(Duration{0})));
  }
  const GridPoint& knee = grid.points[*found.knee];
  return "The knee: " + place_text(knee) +
         text(", %.3f ms, %.1f rows a second in one slice of that size.", ms(knee.median), rows_per_second(knee));
}

}  // namespace

Efficacies efficacies(const Grid& grid, const sched::KneeLimits& limits) {
  Efficacies out;
  std::map<std::int32_t, std::size_t> best;
  for (std::size_t i = 0; i < grid.points.size(); ++i) {
    const GridPoint& point = grid.points[i];
    out.of.push_back(sched::efficacy(point.rows, point.median, point.processors));
    const auto [of_rows, first] = best.emplace(point.rows, i);
    if (!first && out.of[i] > out.of[of_rows->second]) {
      of_rows->second = i;
    }
    if (limits.keeps(point.rows, point.median) && (!out.knee || out.of[i] > out.of[*out.knee])) {
      out.knee = i;
    }
  }
  for (const auto& [rows, place] : best) {
    out.best_of_rows.push_back(place);
  }
  return out;
}

sched::KneeLimits limits_of(const Grid& grid, const ProfileInfo& info) {
  sched::KneeLimits limits;
  limits.slo = grid.slo.value_or(kForever);
  if (info.rows_per_second > 0) {
    limits.rows_per_second = info.rows_per_second;
  }
  return limits;
}

std::string profile_table(const Grid& grid, const ProfileInfo& info) {
  const Efficacies found = efficacies(grid, limits_of(grid, info));
  std::string out = grid.model + ", version " + std::to_string(grid.version) + ", " + info.device + "\n" +
                    "  rows  processors  runs   median ms  slowest ms  rows a second    efficacy\n";
  for (std::size_t i = 0; i < grid.points.size(); ++i) {
    const GridPoint& point = grid.points[i];
    const bool best = std::find(found.best_of_rows.begin(), found.best_of_rows.end(), i) != found.best_of_rows.end();
    out += text("%6d  %10d  %4d  %10.3f  %10.3f  %13.1f  %10.4g%s\n", point.rows, point.processors, point.runs,
                ms(point.median), ms(point.slowest), rows_per_second(point), found.of[i],
                found.knee == i ? "  the knee"
                : best          ? "  best of its batch"
                                : "");
  }
  for (const std::string& each : grid.left_out) {
    out += "  not measured: " + each + "\n";
  }
  return out + knee_sentence(grid, found) + "\n";
}

std::string profile_csv(const std::vector<Grid>& grids, const ProfileInfo& info) {
  std::string out =
      "model,version,rows,processors,atoms,runs,fastest_us,median_us,slowest_us,rows_per_second,efficacy,knee\n";
  for (const Grid& grid : grids) {
    const Efficacies found = efficacies(grid, limits_of(grid, info));
    for (std::size_t i = 0; i < grid.points.size(); ++i) {
      const GridPoint& point = grid.points[i];
      // Names of folders may hold commas and quotes.
      std::string name = "\"";
      for (const char c : grid.model) {
        name += c == '"' ? std::string("\"\"") : std::string(1, c);
      }
      out += name + text("\",%lld,%d,%d,%d,%d,%.3f,%.3f,%.3f,%.6g,%.6g,%d\n", static_cast<long long>(grid.version),
                         point.rows, point.processors, point.slice.count, point.runs, 1e3 * ms(point.fastest),
                         1e3 * ms(point.median), 1e3 * ms(point.slowest), rows_per_second(point), found.of[i],
                         found.knee == i ? 1 : 0);
    }
  }
  return out;
}

std::string profile_html(const std::vector<Grid>& grids, const ProfileInfo& info) {
  std::string body =
      "<h1>Profiles on " + escaped(info.device) + "</h1>\n<p><code>" + escaped(info.command) + "</code></p>\n";
  for (const Grid& grid : grids) {
    const Efficacies found = efficacies(grid, limits_of(grid, info));
    body += "<h2>" + escaped(grid.model) + text(", version %lld</h2>\n<p><b>", static_cast<long long>(grid.version)) +
            escaped(knee_sentence(grid, found)) + "</b></p>\n" + figures(grid, found) + rows_of_table(grid, found);
    for (const std::string& each : grid.left_out) {
      body += "<p>Not measured: " + escaped(each) + "</p>\n";
    }
  }
  return loadgen::page("tessera profile", body);
}

std::string knees(const std::vector<Grid>& grids, const ProfileInfo& info) {
  std::string out;
  for (const Grid& grid : grids) {
    const Efficacies found = efficacies(grid, limits_of(grid, info));
    out += (out.empty() ? "" : "; ") + grid.model + ": " +
           (found.knee ? place_text(grid.points[*found.knee]) : std::string("none within its objective"));
  }
  return out;
}

}  // namespace tessera::apps
