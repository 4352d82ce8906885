// What a GPU has to show, row by row: the one place that knows the bars.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "measure/beside.h"
#include "measure/first_answer.h"
#include "measure/homed.h"
#include "measure/pair.h"
#include "measure/sharing_report.h"

namespace tessera::measure {

struct Row {
  enum class Sense { kAtMost, kAtLeast };
  std::string id;    // "homed_ratio"
  std::string what;  // in words
  std::string unit;  // "x", "ms"; empty: none
  Sense sense = Sense::kAtMost;
  double bar = 0;
  // What measures it, where `tessera selftest` does not.
  std::string elsewhere = {};
  bool worst = false;  // of repetitions the worst counts, not the median
};

const std::vector<Row>& rows();

// Figures that came, by row. A row can have several subjects, such as models: of each the median of its repetitions
// counts, and of the subjects the worst. Owned by one thread.
class Scores {
 public:
  void add(std::string_view id, double figure, std::string note = {}) { add(id, std::vector{figure}, std::move(note)); }
  // One subject; nothing where nothing was measured.
  void add(std::string_view id, std::vector<double> repetitions, std::string note = {});
  void not_measured(std::string_view id, std::string cause);

  struct Subject {
    std::vector<double> values;  // by repetition
    std::string note;
    double figure = 0;  // which counts
    double least() const;
    double most() const;
  };
  struct Score {
    const Row* row = nullptr;
    std::optional<double> figure;   // nothing: not measured
    std::string note;               // of the subject that counts, or why there is none
    std::vector<Subject> subjects;  // as they came
    std::size_t counts = 0;         // which of them the figure is of, where there is one
    bool met() const;
  };
  std::vector<Score> all() const;  // every row, in their order
  std::string table() const;
  std::string json() const;  // a list

 private:
  struct Found {
    std::string id;
    Subject subject;  // no values: not measured, for the cause in its note
  };
  std::vector<Found> found_;
};

// The rows that each measurement speaks of.
void score(const std::vector<HomedCell>& cells, Scores& scores);
// Of the models whose plans were to be homed: those that the audit refuses, with the cause; `remark`: on others.
void score_refused(const std::vector<HomedCell>& cells, const std::string& remark, Scores& scores);
void score(const Run& run, Scores& scores);       // of cells on the first device
void score_pair(const Run& run, Scores& scores);  // of cells on several devices, against those on one
void score_replica(const Replica& result, Scores& scores);
void score_first(const FirstAnswer& result, Scores& scores);

// Each by repetition.
using Besides = std::vector<Beside>;
void score_pair_loading(const Besides& results, Scores& scores);
void score_replicating(const std::vector<BesideBoth>& results, Scores& scores);
// `served`: with a batch committed behind each that runs, which is what counts; `bare`: with none.
void score_homing(const Besides& served, const Besides& bare, Scores& scores);
void score_loading(const std::string& model, const Besides& served, const Besides& bare, Scores& scores);
enum class Bound { kMemory, kCompute };  // what the greedy ones are short of
void score_critical(Bound bound, const std::string& mix, const Besides& slices, const Besides& streams, Scores& scores);
// `captured`: the last model is the one itself.
void score_fallback(const Besides& alone, const Besides& captured, Scores& scores);

}  // namespace tessera::measure
