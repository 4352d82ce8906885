#include "measure/rows.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "measure/numbers.h"
#include "measure/text.h"

namespace tessera::measure {
namespace {

constexpr auto kMost = Row::Sense::kAtMost;
constexpr auto kLeast = Row::Sense::kAtLeast;

std::vector<Row> make_rows() {
  std::vector<Row> rows{
      {"homed_ratio", "a homed plan's time against one tuned and captured in that slice", "x", kMost, 1.02},
      {"homed_other_bits", "of those, with other bits", "", kMost, 0},
      {"homed_refused", "models whose plans the audit refuses, but for inception_v3", "", kMost, 0},
      {"homing_ms", "making a homed plan ready, neighbours running", "ms", kMost, 1.5},
      {"homing_p99", "neighbours' p99 meanwhile, against alone", "x", kMost, 1.05},
      {"realloc_share", "atom-time between batches, four tenants, full queues", "", kMost, 0.03},
      {"realloc_p50_us", "gap at a change of slice, p50", "us", kMost, 10},
      {"realloc_p99_us", "gap at a change of slice, p99", "us", kMost, 20},
      {"realloc_lost", "of all these launches, lost or before their turn", "", kMost, 0},
      {"seen_p50_us", "end on the card until the dispatcher knows, 16 in flight, p50", "us", kMost, 3},
      {"seen_p99_us", "end on the card until the dispatcher knows, 16 in flight, p99", "us", kMost, 10},
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
       {"hot_model", "one hot model, two and four lanes, open loop at 5 x: requests/s against temporal", "x", kLeast, 1,
        "tessera load --search --slo-factor 5 --model resnet50 --policy temporal, then tessera"},
       {"sockets_share", "the same fed over sockets, against in process", "x", kLeast, 0.85, "bench/sockets.py"},
       {"sockets_halves", "the same on two halves of the device", "x", kLeast, 0.85,
        "bench/sockets.py --devices cuda:0/0-7,cuda:0/8-15"},
       {"primitives", "latency of a request over HTTP against without the primitives of the data path", "x", kMost,
        0.65, "bench/primitives.py"},
       {"memory", "weights with five batch sizes and two lanes, against once and once repacked", "x", kMost, 1.1,
        "bench_cuda_engine MODELS"},
       {"critical_p99", "latency-critical model beside three memory-bound ones: p99 against alone", "x", kMost, 1.25},
       {"critical_compute_p99", "the same beside three compute-bound ones", "x", kMost, 1.05},
       {"fallback_p99", "neighbours' p99 beside an uncaptured model, against alone", "x", kMost, 1.05},
       {"loading_p99", "neighbours' p99 while a model is loaded, against alone", "x", kMost, 1.05},
       {"loading_worst_ms", "their latest launch then, later than alone by", "ms", kMost, 1, "", true},
       {"first_answer", "first answer against plain ONNX Runtime", "x", kMost, 1.1},
       {"pair_images", "four tenants on each of two devices at once, in process: images/s against one", "x", kLeast,
        1.97},
       {"pair_sockets", "the same fed over sockets", "x", kLeast, 1.9,
        "bench/sockets.py --devices 'cuda:0 cuda:0,cuda:1'"},
       {"pair_loading_p99", "p99 on one device while models come and go on the other, against alone", "x", kMost, 1.02},
       {"pair_replica_p99", "p99 on both devices while replicas come from one to the other, against alone", "x", kMost,
        1.05},
       {"pair_replica", "first answer of a replica on the other device, against the first load's", "x", kMost, 0.5}});
  return rows;
}

const Cell* cell_of(const Run& run, std::string_view policy, std::int64_t rows) {
  const auto found = std::find_if(run.cells.begin(), run.cells.end(), [&](const Cell& cell) {
    return cell.policy == policy && cell.rows == rows && !cell.rounds.empty() && cell.parts == Cell{}.parts;
  });
  return found == run.cells.end() ? nullptr : &*found;
}

// By round.
std::vector<double> ratios(const std::vector<std::vector<Measured>>& rounds,
                           const std::vector<std::vector<Measured>>& others) {
  std::vector<double> found;
  for (std::size_t i = 0; i < std::min(rounds.size(), others.size()); ++i) {
    if (images(others[i]) > 0) {
      found.push_back(images(rounds[i]) / images(others[i]));
    }
  }
  return found;
}

template <typename T, typename Value>
std::vector<double> values(const std::vector<T>& all, const Value& value) {
  std::vector<double> found;
  found.reserve(all.size());
  for (const T& one : all) {
    found.push_back(value(one));
  }
  return found;
}

double p99_ratio(const Beside& result) { return result.worst_p99_ratio(); }

std::string median_text(std::vector<double> all, const char* format = "%.3f") {
  return number(median(std::move(all)), format);
}

}  // namespace

const std::vector<Row>& rows() {
  static const std::vector<Row> kRows = make_rows();
  return kRows;
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
    scores.add("homed_ratio", cell.ratios.empty() ? std::vector{cell.ratio()} : cell.ratios,
               cell.model + " b" + std::to_string(cell.batch) + ", " + std::to_string(cell.slice.count) + " atoms");
  }
  if (any) {
    scores.add("homed_other_bits", other_bits, "of " + std::to_string(cells.size()));
  }
}

void score_refused(const std::vector<HomedCell>& cells, const std::string& remark, Scores& scores) {
  std::map<std::string, std::string> causes;  // by model; empty: it was homed somewhere
  for (const HomedCell& cell : cells) {
    const auto [found, first] = causes.emplace(cell.model, cell.refused);
    if (cell.refused.empty()) {
      found->second.clear();
    }
  }
  double refused = 0;
  std::string note;
  for (const auto& [model, cause] : causes) {
    if (!cause.empty()) {
      ++refused;
      note.append(model).append(": ").append(cause).append("; ");
    }
  }
  if (!causes.empty()) {
    scores.add("homed_refused", refused, note + remark);
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
        scores.add("share_b" + std::to_string(batch) + "_" + policy, ratios(slices->rounds, other->rounds),
                   std::to_string(slices->rounds.size()) + " rounds");
      }
    }
  }
  for (const Cell& cell : run.cells) {
    if (cell.policy == "tessera" && cell.rows == 1) {
      const std::string polling = cell.polling.empty() ? "" : "; the polling thread " + median_text(cell.polling);
      scores.add("share_dispatcher_busy", cell.dispatching, "of a core's time" + polling);
    }
    if (!cell.bare.empty()) {
      scores.add("share_of_bare", ratios(cell.rounds, cell.bare),
                 cell.policy + ", batches of " + std::to_string(cell.rows));
    }
  }
  for (const Cell& cell : run.cells) {
    if (cell.policy != "fixed" || cell.rounds.empty()) {  // where each tenant has a slice for itself
      continue;
    }
    std::string note = "fixed, batches of " + std::to_string(cell.rows);
    if (!cell.bare.empty()) {
      note += "; bare launches " + median_text(values(cell.bare, worst_p99_over_p50));
    }
    if (const Cell* tessera = cell_of(run, "tessera", cell.rows); tessera != nullptr) {
      note += "; tessera " + median_text(values(tessera->rounds, worst_p99_over_p50));
    }
    scores.add("share_even", values(cell.rounds, worst_p99_over_p50), note);
  }
}

void score_pair(const Run& run, Scores& scores) {
  for (const Cell& both : run.cells) {
    std::vector<double> found;
    for (std::size_t i = 0; both.parts.size() > 1 && i < both.rounds.size(); ++i) {
      double alone = 0;  // the parts' mean
      for (const Cell& one : run.cells) {
        if (one.parts.size() == 1 && one.policy == both.policy && one.rows == both.rows && i < one.rounds.size()) {
          alone += images(one.rounds[i]) / static_cast<double>(both.parts.size());
        }
      }
      if (alone > 0) {
        found.push_back(images(both.rounds[i]) / alone);
      }
    }
    scores.add("pair_images", std::move(found), both.policy + ", batches of " + std::to_string(both.rows));
  }
}

void score_pair_loading(const Besides& results, Scores& scores) {
  scores.add("pair_loading_p99", values(results, p99_ratio),
             "a load took " + median_text(values(results, [](const Beside& one) { return one.took_ms; }), "%.0f") +
                 " ms, the latest launch was later by " +
                 median_text(values(results, [](const Beside& one) { return one.most_worst_ms_more(); }), "%.2f") +
                 " ms");
}

void score_replicating(const std::vector<BesideBoth>& results, Scores& scores) {
  const auto here = [](const BesideBoth& both) { return both.here.worst_p99_ratio(); };
  const auto worst = [&](const BesideBoth& both) { return std::max(here(both), both.there.worst_p99_ratio()); };
  const auto later = [](const BesideBoth& both) {
    return std::max(both.here.most_worst_ms_more(), both.there.most_worst_ms_more());
  };
  scores.add("pair_replica_p99", values(results, worst),
             "where they come from " + median_text(values(results, here)) + " x, the latest launch was later by " +
                 median_text(values(results, later), "%.2f") + " ms");
}

void score_replica(const Replica& result, Scores& scores) {
  std::vector<double> found;
  for (std::size_t i = 0; i < std::min(result.first.size(), result.replica.size()); ++i) {
    found.push_back(result.replica[i].total() / result.first[i].total());
  }
  scores.add("pair_replica", std::move(found), result.model);
}

void score_first(const FirstAnswer& result, Scores& scores) {
  std::vector<double> found;
  for (std::size_t i = 0; i < std::min(result.ours_ms.size(), result.plain_ms.size()); ++i) {
    found.push_back(result.ours_ms[i] / result.plain_ms[i]);
  }
  scores.add("first_answer", std::move(found), result.model);
}

void score_homing(const Besides& served, const Besides& bare, Scores& scores) {
  scores.add("homing_ms", values(served, [](const Beside& one) { return one.took_ms; }), "each a median of many");
  scores.add("homing_p99", values(served, p99_ratio),
             "with nothing committed behind " + median_text(values(bare, p99_ratio)) + " x");
}

void score_loading(const std::string& model, const Besides& served, const Besides& bare, Scores& scores) {
  const std::string note = "loading " + model + "; with nothing committed behind ";
  const auto later = [](const Beside& one) { return one.most_worst_ms_more(); };
  scores.add("loading_p99", values(served, p99_ratio), note + median_text(values(bare, p99_ratio)) + " x");
  scores.add("loading_worst_ms", values(served, later), note + median_text(values(bare, later)) + " ms");
}

void score_critical(Bound bound, const std::string& mix, const Besides& slices, const Besides& streams,
                    Scores& scores) {
  scores.add(bound == Bound::kMemory ? "critical_p99" : "critical_compute_p99", values(slices, p99_ratio),
             mix + "; as plain streams " + median_text(values(streams, p99_ratio), "%.2f") + " x");
}

void score_fallback(const Besides& alone, const Besides& captured, Scores& scores) {
  const auto of_neighbours = [](const Beside& one) {
    double worst = 0;
    for (std::size_t i = 0; i + 1 < one.alone.size(); ++i) {
      worst = std::max(worst, one.beside[i].p99_ms / one.alone[i].p99_ms);
    }
    return worst;
  };
  const auto own = [](const Beside& one) { return one.beside.back().p50_ms / one.alone.back().p50_ms; };
  scores.add("fallback_p99", values(alone, p99_ratio),
             "against beside it captured " + median_text(values(captured, of_neighbours)) + " x; it itself takes " +
                 median_text(values(captured, own), "%.2f") + " x as long");
}

}  // namespace tessera::measure
