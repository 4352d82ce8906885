#include <algorithm>
#include <cstdio>
#include <functional>
#include <iterator>
#include <utility>
#include <vector>

#include "measure/numbers.h"
#include "measure/reallocation.h"
#include "measure/rows.h"
#include "measure/text.h"

namespace tessera::measure {
namespace {

using Figure = std::function<double(const ReallocationRound&)>;

Spread spread_of(const ReallocationCell& cell, const Figure& figure) {
  std::vector<double> values;
  for (const ReallocationRound& round : cell.rounds) {
    values.push_back(figure(round));
  }
  return spread(std::move(values));
}

std::string spread_json(const ReallocationCell& cell, const Figure& figure) { return as_json(spread_of(cell, figure)); }

std::string quantiles_json(const ReallocationCell& cell, Quantiles GapsBetween::*which) {
  const auto of = [&](double Quantiles::*member) {
    return spread_json(cell, [&](const ReallocationRound& round) { return round.gaps.*which.*member; });
  };
  double count = 0;
  for (const ReallocationRound& round : cell.rounds) {
    count += static_cast<double>((round.gaps.*which).count);
  }
  return "{\"n\":" + number(count, "%.0f") + ",\"p50\":" + of(&Quantiles::p50) + ",\"p90\":" + of(&Quantiles::p90) +
         ",\"p99\":" + of(&Quantiles::p99) + ",\"max\":" + of(&Quantiles::most) + "}";
}

double sum(const ReallocationCell& cell, const Figure& figure) {
  double sum = 0;
  for (const ReallocationRound& round : cell.rounds) {
    sum += figure(round);
  }
  return sum;
}

std::string cell_json(const ReallocationCell& cell) {
  std::string text = "{\"arm\":" + quoted(cell.arm) + ",\"batch\":" + std::to_string(cell.rows) +
                     ",\"rounds\":" + std::to_string(cell.rounds.size());
  const std::pair<const char*, Figure> counts[] = {
      {"launches", [](const auto& round) { return static_cast<double>(round.launches); }},
      {"lost", [](const auto& round) { return static_cast<double>(round.lost); }},
      {"unanswered", [](const auto& round) { return static_cast<double>(round.unanswered); }},
      {"untimed", [](const auto& round) { return static_cast<double>(round.gaps.untimed); }},
      {"overlaps", [](const auto& round) { return static_cast<double>(round.gaps.overlaps); }}};
  for (const auto& [name, figure] : counts) {
    text += ",\"" + std::string(name) + "\":" + number(sum(cell, figure), "%.0f");
  }
  const std::pair<const char*, Figure> spreads[] = {
      {"share_between", [](const auto& round) { return round.gaps.between; }},
      {"share_waiting", [](const auto& round) { return round.gaps.waiting; }},
      {"share_busy", [](const auto& round) { return round.gaps.busy; }},
      {"clock_round_trip_us", [](const auto& round) { return round.clock_round_trip_us; }},
      {"clock_drift_us_per_s", [](const auto& round) { return round.clock_drift_us_per_s; }}};
  for (const auto& [name, figure] : spreads) {
    text += ",\n   \"" + std::string(name) + "\":" + spread_json(cell, figure);
  }
  const std::pair<const char*, Quantiles GapsBetween::*> quantiles[] = {
      {"gap_changed_us", &GapsBetween::changed_us},
      {"gap_changed_committed_us", &GapsBetween::changed_ahead_us},
      {"gap_changed_not_committed_us", &GapsBetween::changed_behind_us},
      {"gap_same_us", &GapsBetween::same_us},
      {"gap_same_committed_us", &GapsBetween::same_ahead_us},
      {"gap_same_not_committed_us", &GapsBetween::same_behind_us},
      {"end_to_seen_us", &GapsBetween::seen_us},
      {"end_to_dispatcher_us", &GapsBetween::told_us},
      {"in_flight_at_ends", &GapsBetween::in_flight}};
  for (const auto& [name, which] : quantiles) {
    text += ",\n   \"" + std::string(name) + "\":" + quantiles_json(cell, which);
  }
  return text + "}";
}

// "median (least to most)"
std::string column(const ReallocationCell& cell, const Figure& figure, const char* format) {
  const Spread value = spread_of(cell, figure);
  return number(value.median, format) + " (" + number(value.least, format) + "-" + number(value.most, format) + ")";
}

void print_gaps(const ReallocationCell& cell, const char* name, Quantiles GapsBetween::*which) {
  double count = 0;
  for (const ReallocationRound& round : cell.rounds) {
    count += static_cast<double>((round.gaps.*which).count);
  }
  if (count == 0) {
    return;
  }
  const auto of = [&](double Quantiles::*member) {
    return column(
        cell, [&](const ReallocationRound& round) { return round.gaps.*which.*member; }, "%.2f");
  };
  std::printf("    %-34s %9.0f  p50 %-22s p99 %s\n", name, count, of(&Quantiles::p50).c_str(),
              of(&Quantiles::p99).c_str());
}

}  // namespace

void score(const Reallocation& result, Scores& scores) {
  if (!result.by_card) {
    for (const char* row : {"realloc_share", "realloc_p50_us", "realloc_p99_us", "seen_p50_us", "seen_p99_us"}) {
      scores.not_measured(row, "the device has no clock of its own");
    }
  }
  for (const ReallocationCell& cell : result.cells) {
    if (cell.rounds.empty()) {
      continue;
    }
    const std::string of = cell.arm + ", batches of " + std::to_string(cell.rows);
    scores.add("realloc_lost",
               sum(cell,
                   [](const ReallocationRound& round) {
                     return static_cast<double>(round.lost + round.unanswered + round.gaps.overlaps);
                   }),
               of);
    if (!result.by_card) {
      continue;
    }
    const auto add = [&](const char* row, const Figure& figure, const std::string& note) {
      std::vector<double> repetitions;
      std::transform(cell.rounds.begin(), cell.rounds.end(), std::back_inserter(repetitions), figure);
      scores.add(row, std::move(repetitions), note);
    };
    if (cell.arm == "atoms") {
      add(
          "seen_p50_us", [](const auto& round) { return round.gaps.told_us.p50; }, of);
      add(
          "seen_p99_us", [](const auto& round) { return round.gaps.told_us.p99; }, of);
      continue;
    }
    add(
        "realloc_share", [](const auto& round) { return round.gaps.between; }, of);
    const double changes =
        sum(cell, [](const auto& round) { return static_cast<double>(round.gaps.changed_us.count); });
    if (changes > 0) {
      const std::string with_changes = of + ", " + number(changes, "%.0f") + " changes";
      add(
          "realloc_p50_us", [](const auto& round) { return round.gaps.changed_us.p50; }, with_changes);
      add(
          "realloc_p99_us", [](const auto& round) { return round.gaps.changed_us.p99; }, with_changes);
    }
  }
}

std::string json(const Reallocation& result) {
  std::string tenants;
  for (const std::string& name : result.tenants) {
    tenants += (tenants.empty() ? "" : ",") + quoted(name);
  }
  std::string cells;
  for (const ReallocationCell& cell : result.cells) {
    cells += (cells.empty() ? "\n  " : ",\n  ") + cell_json(cell);
  }
  return "{\"date\":" + quoted(today()) + ",\"command\":" + quoted(result.command) +
         ",\n \"device\":" + quoted(result.device) + ",\"engine\":" + quoted(result.engine) +
         ",\"atoms\":" + std::to_string(result.atoms) +
         ",\"clock\":" + (result.by_card ? "\"the card's\"" : "\"the host's, as the device reports\"") +
         ",\"lanes\":" + std::to_string(result.lanes) + ",\"seconds\":" + number(result.seconds, "%.2f") +
         ",\"tenants\":[" + tenants + "],\n \"cells\":[" + cells + "]}\n";
}

void print(const Reallocation& result) {
  std::printf("%s, %s\n", result.device.c_str(), result.engine.c_str());
  std::puts(
      "median (least-most) over rounds; shares of all atom-time: between batches, waiting for other atoms of a wider "
      "slice, in batches; microseconds\nfrom the end of a batch's last node to the begin of the next one's first; "
      "committed: it was queued by then");
  for (const ReallocationCell& cell : result.cells) {
    if (cell.rounds.empty()) {
      continue;
    }
    const auto total = [&](const Figure& figure) { return sum(cell, figure); };
    std::printf("%s, batches of %lld: %.0f launches, %.0f lost, %.0f unanswered, %.0f before their turn\n",
                cell.arm.c_str(), static_cast<long long>(cell.rows),
                total([](const auto& r) { return static_cast<double>(r.launches); }),
                total([](const auto& r) { return static_cast<double>(r.lost); }),
                total([](const auto& r) { return static_cast<double>(r.unanswered); }),
                total([](const auto& r) { return static_cast<double>(r.gaps.overlaps); }));
    std::printf("    between %s, waiting %s, busy %s\n",
                column(
                    cell, [](const auto& r) { return r.gaps.between; }, "%.4f")
                    .c_str(),
                column(
                    cell, [](const auto& r) { return r.gaps.waiting; }, "%.4f")
                    .c_str(),
                column(
                    cell, [](const auto& r) { return r.gaps.busy; }, "%.4f")
                    .c_str());
    print_gaps(cell, "gap, another slice", &GapsBetween::changed_us);
    print_gaps(cell, "gap, another slice, committed", &GapsBetween::changed_ahead_us);
    print_gaps(cell, "gap, another slice, not committed", &GapsBetween::changed_behind_us);
    print_gaps(cell, "gap, same slice, committed", &GapsBetween::same_ahead_us);
    print_gaps(cell, "gap, same slice, not committed", &GapsBetween::same_behind_us);
    print_gaps(cell, "end until seen", &GapsBetween::seen_us);
    print_gaps(cell, "end until the dispatcher has it", &GapsBetween::told_us);
    print_gaps(cell, "launches in flight", &GapsBetween::in_flight);
  }
}

}  // namespace tessera::measure
