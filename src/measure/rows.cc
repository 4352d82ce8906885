#include "measure/rows.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <utility>

#include "base/check.h"
#include "measure/numbers.h"

namespace tessera::measure {
namespace {

constexpr auto kMost = Row::Sense::kAtMost;
constexpr auto kLeast = Row::Sense::kAtLeast;

std::string number(double value, const char* format = "%.3f") {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

std::vector<Row> make_rows() {
  std::vector<Row> rows{
      {"homed_ratio", "a homed plan's time against one tuned and captured in that slice", "x", kMost, 1.02},
      {"homed_other_bits", "of those, with other bits", "", kMost, 0},
      {"homing_ms", "making a homed plan ready, neighbours running", "ms", kMost, 1.5},
      {"homing_p99", "neighbours' p99 meanwhile, against alone", "x", kMost, 1.05},
      {"realloc_share", "atom-time between batches, four tenants, full queues", "", kMost, 0.03,
       "bench_cuda_device, with probes"},
      {"realloc_p50_us", "gap at a change of slice, p50", "us", kMost, 10, "bench_cuda_device, with probes"},
      {"realloc_p99_us", "gap at a change of slice, p99", "us", kMost, 20, "bench_cuda_device, with probes"},
      {"seen_p50_us", "the end of a batch seen, 16 in flight, p50", "us", kMost, 3, "bench_cuda_device"},
      {"seen_p99_us", "the end of a batch seen, 16 in flight, p99", "us", kMost, 10, "bench_cuda_device"},
      {"share_dispatcher_busy", "dispatcher's role held, at most images/s, batches of 1", "", kMost, 0.5},
      {"h2d_of_bare", "602 KB inputs, 8 in flight, against bare copies", "x", kLeast, 0.97, "bench_input_copies"},
      {"h2d_of_link", "the same where neighbours travel as one, against the link", "x", kLeast, 0.92,
       "bench_input_copies"},
      {"upload_p99", "p99 of a 150 KB tenant beside 64 MB uploads, against alone", "x", kMost, 1.10,
       "bench/uploads.py"},
  };
  const std::array<std::array<double, 3>, 4> sharing{
      {{1, 1.8, 1.05}, {4, 1.4, 1.14}, {8, 1.25, 1.19}, {16, 1.15, 1.22}}};
  for (const auto& [batch, temporal, streams] : sharing) {
    const std::string of = number(batch, "%.0f");
    rows.push_back({"share_b" + of + "_temporal", "four tenants, batches of " + of + ": images/s against temporal", "x",
                    kLeast, temporal});
    rows.push_back({"share_b" + of + "_streams", "four tenants, batches of " + of + ": images/s against streams", "x",
                    kLeast, streams});
  }
  rows.insert(
      rows.end(),
      {{"share_even", "p99/p50 of a tenant in slices, the worst", "x", kMost, 1.05},
       {"share_of_bare", "each arm against a bare launch loop of it", "x", kLeast, 0.97},
       {"sockets_share", "the same fed over sockets, against in process", "x", kLeast, 0.85, "bench/sockets.py"},
       {"critical_p99", "latency-critical model beside three memory-bound ones: p99 against alone", "x", kMost, 1.25},
       {"critical_compute_p99", "the same beside three compute-bound ones", "x", kMost, 1.05},
       {"fallback_p99", "neighbours' p99 beside an uncaptured model, against alone", "x", kMost, 1.05},
       {"loading_p99", "neighbours' p99 while a model is loaded, against alone", "x", kMost, 1.05},
       {"loading_worst_ms", "their latest launch then, later than alone by", "ms", kMost, 1},
       {"first_answer", "first answer against plain ONNX Runtime", "x", kMost, 1.1},
       {"pair_images", "four tenants on each of two devices at once, in process: images/s against one", "x", kLeast,
        1.97},
       {"pair_loading_p99", "p99 on one device while models come and go on the other, against alone", "x", kMost, 1.02},
       {"pair_replica_p99", "p99 on both devices while replicas come from one to the other, against alone", "x", kMost,
        1.05},
       {"pair_replica", "first answer of a replica on the other device, against the first load's", "x", kMost, 0.5}});
  return rows;
}

const Row& row_of(std::string_view id) {
  const auto& all = rows();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Row& row) { return row.id == id; });
  TESSERA_CHECK(found != all.end());
  return *found;
}

bool is_worse(const Row& row, double figure, double than) { return row.sense == kMost ? figure > than : figure < than; }

double images(const std::vector<Measured>& round) {
  double sum = 0;
  for (const Measured& tenant : round) {
    sum += tenant.per_second;
  }
  return sum;
}

const Cell* cell_of(const Run& run, std::string_view policy, std::int64_t rows) {
  const auto found = std::find_if(run.cells.begin(), run.cells.end(), [&](const Cell& cell) {
    return cell.policy == policy && cell.rows == rows && !cell.rounds.empty() && cell.parts == Cell{}.parts;
  });
  return found == run.cells.end() ? nullptr : &*found;
}

// The median over rounds, each round's arms against each other.
double ratio(const Cell& cell, const Cell& other) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(cell.rounds.size(), other.rounds.size()); ++i) {
    if (images(other.rounds[i]) > 0) {
      ratios.push_back(images(cell.rounds[i]) / images(other.rounds[i]));
    }
  }
  return median(std::move(ratios));
}

}  // namespace

const std::vector<Row>& rows() {
  static const std::vector<Row> kRows = make_rows();
  return kRows;
}

void Scores::add(std::string_view id, double figure, std::string note) {
  static_cast<void>(row_of(id));
  found_.push_back({std::string(id), figure, std::move(note)});
}

void Scores::not_measured(std::string_view id, std::string cause) {
  static_cast<void>(row_of(id));
  found_.push_back({std::string(id), std::nullopt, std::move(cause)});
}

bool Scores::Score::met() const { return figure.has_value() && !is_worse(*row, *figure, row->bar); }

std::vector<Scores::Score> Scores::all() const {
  std::vector<Score> scores;
  for (const Row& row : rows()) {
    Score score{&row, std::nullopt, row.elsewhere.empty() ? "not asked for" : row.elsewhere};
    for (const Found& found : found_) {
      if (found.id != row.id) {
        continue;
      }
      if (found.figure && (!score.figure || is_worse(row, *found.figure, *score.figure))) {
        score.figure = found.figure;
        score.note = found.note;
      } else if (!score.figure) {
        score.note = found.note;
      }
    }
    scores.push_back(std::move(score));
  }
  return scores;
}

std::string Scores::table() const {
  std::string text;
  for (const Score& score : all()) {
    const Row& row = *score.row;
    const std::string bar = (row.sense == kMost ? "<= " : ">= ") + number(row.bar, "%.4g") + " " + row.unit;
    const std::string figure = score.figure ? number(*score.figure) : "-";
    std::array<char, 400> line{};
    std::snprintf(line.data(), line.size(), "%-12s %-76s %10s  %-9s %s\n",
                  score.figure ? (score.met() ? "met" : "MISSED") : "not measured", row.what.c_str(), figure.c_str(),
                  bar.c_str(), score.note.c_str());
    text += line.data();
  }
  return text;
}

std::string Scores::json() const {
  std::string text;
  for (const Score& score : all()) {
    const Row& row = *score.row;
    text += (text.empty() ? "\n " : ",\n ") + ("{\"id\":" + quoted(row.id)) + ",\"what\":" + quoted(row.what) +
            ",\"unit\":" + quoted(row.unit) + ",\"sense\":" + (row.sense == kMost ? "\"at most\"" : "\"at least\"") +
            ",\"bar\":" + number(row.bar, "%.6g") +
            ",\"figure\":" + (score.figure ? number(*score.figure, "%.6g") : "null") +
            ",\"verdict\":" + (score.figure ? (score.met() ? "\"met\"" : "\"missed\"") : "\"not measured\"") +
            ",\"note\":" + quoted(score.note) + "}";
  }
  return "[" + text + "]";
}

void score(const std::vector<HomedCell>& cells, Scores& scores) {
  double other_bits = 0;
  bool any = false;
  for (const HomedCell& cell : cells) {
    if (!cell.refused.empty()) {
      continue;
    }
    any = true;
    other_bits += cell.same_bits ? 0 : 1;
    scores.add("homed_ratio", cell.ratio(),
               cell.model + " b" + std::to_string(cell.batch) + ", " + std::to_string(cell.slice.count) + " atoms");
  }
  if (any) {
    scores.add("homed_other_bits", other_bits, "of " + std::to_string(cells.size()));
  }
}

void score(const Run& run, Scores& scores) {
  for (const std::int64_t batch : {1, 4, 8, 16}) {
    const Cell* slices = cell_of(run, "tessera", batch);
    if (slices == nullptr) {
      continue;
    }
    for (const char* policy : {"temporal", "streams"}) {
      if (const Cell* other = cell_of(run, policy, batch); other != nullptr) {
        scores.add("share_b" + std::to_string(batch) + "_" + policy, ratio(*slices, *other),
                   std::to_string(slices->rounds.size()) + " rounds");
      }
    }
  }
  for (const Cell& cell : run.cells) {
    if (cell.policy == "tessera" && cell.rows == 1 && !cell.dispatching.empty()) {
      scores.add("share_dispatcher_busy", median(cell.dispatching));
    }
    if (cell.bare_per_s > 0 && !cell.rounds.empty()) {
      std::vector<double> rates;
      for (const auto& round : cell.rounds) {
        rates.push_back(images(round) / cell.bare_per_s);
      }
      scores.add("share_of_bare", median(std::move(rates)), cell.policy + ", batches of " + std::to_string(cell.rows));
    }
  }
  for (const Cell& cell : run.cells) {
    if (cell.policy != "fixed" || cell.rounds.empty()) {  // where each tenant has a slice for itself
      continue;
    }
    std::vector<double> worst;
    for (const auto& round : cell.rounds) {
      double most = 0;
      for (const Measured& tenant : round) {
        most = std::max(most, tenant.p50_ms > 0 ? tenant.p99_ms / tenant.p50_ms : 0);
      }
      worst.push_back(most);
    }
    scores.add("share_even", median(std::move(worst)), "fixed, batches of " + std::to_string(cell.rows));
  }
}

void score_pair(const Run& run, Scores& scores) {
  for (const Cell& both : run.cells) {
    std::vector<double> ratios;
    for (std::size_t i = 0; both.parts.size() > 1 && i < both.rounds.size(); ++i) {
      double alone = 0;  // the parts' mean
      for (const Cell& one : run.cells) {
        if (one.parts.size() == 1 && one.policy == both.policy && one.rows == both.rows && i < one.rounds.size()) {
          alone += images(one.rounds[i]) / static_cast<double>(both.parts.size());
        }
      }
      if (alone > 0) {
        ratios.push_back(images(both.rounds[i]) / alone);
      }
    }
    if (!ratios.empty()) {
      scores.add("pair_images", median(std::move(ratios)), both.policy + ", batches of " + std::to_string(both.rows));
    }
  }
}

void score_pair_loading(const Beside& result, Scores& scores) {
  scores.add("pair_loading_p99", result.worst_p99_ratio(),
             "a load took " + number(result.took_ms, "%.0f") + " ms, the latest launch was later by " +
                 number(result.most_worst_ms_more(), "%.2f") + " ms");
}

void score_replicating(const BesideBoth& result, Scores& scores) {
  scores.add("pair_replica_p99", std::max(result.here.worst_p99_ratio(), result.there.worst_p99_ratio()),
             "where they come from " + number(result.here.worst_p99_ratio()) + " x, the latest launch was later by " +
                 number(std::max(result.here.most_worst_ms_more(), result.there.most_worst_ms_more()), "%.2f") + " ms");
}

void score_replica(const Replica& result, Scores& scores) { scores.add("pair_replica", result.ratio(), result.model); }

void score_homing(const Beside& served, const Beside& bare, Scores& scores) {
  scores.add("homing_ms", served.took_ms, "median");
  scores.add("homing_p99", served.worst_p99_ratio(),
             "with nothing committed behind " + number(bare.worst_p99_ratio()) + " x");
}

void score_loading(const std::string& model, const Beside& served, const Beside& bare, Scores& scores) {
  const std::string note = "loading " + model + "; with nothing committed behind ";
  scores.add("loading_p99", served.worst_p99_ratio(), note + number(bare.worst_p99_ratio()) + " x");
  scores.add("loading_worst_ms", served.most_worst_ms_more(), note + number(bare.most_worst_ms_more()) + " ms");
}

void score_critical(Bound bound, const std::string& mix, const Beside& slices, const Beside& streams, Scores& scores) {
  scores.add(bound == Bound::kMemory ? "critical_p99" : "critical_compute_p99", slices.worst_p99_ratio(),
             mix + "; as plain streams " + number(streams.worst_p99_ratio(), "%.2f") + " x");
}

void score_fallback(const Beside& alone, const Beside& captured, Scores& scores) {
  const auto own = captured.alone.size() - 1;
  double worst = 0;  // of the neighbours
  for (std::size_t i = 0; i < own; ++i) {
    worst = std::max(worst, captured.beside[i].p99_ms / captured.alone[i].p99_ms);
  }
  scores.add("fallback_p99", alone.worst_p99_ratio(),
             "against beside it captured " + number(worst) + " x; it itself takes " +
                 number(captured.beside[own].p50_ms / captured.alone[own].p50_ms, "%.2f") + " x as long");
}

}  // namespace tessera::measure
