// What a GPU has to show, row by row: the one place that knows the bars.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "measure/beside.h"
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
};

const std::vector<Row>& rows();

// Figures that came, by row; several of one row: the worst counts. Owned by one thread.
class Scores {
 public:
  void add(std::string_view id, double figure, std::string note = {});
  void not_measured(std::string_view id, std::string cause);

  struct Score {
    const Row* row = nullptr;
    std::optional<double> figure;  // nothing: not measured
    std::string note;              // of the figure that counts, or why there is none
    bool met() const;
  };
  std::vector<Score> all() const;  // every row, in their order
  std::string table() const;
  std::string json() const;  // a list

 private:
  struct Found {
    std::string id;
    std::optional<double> figure;
    std::string note;
  };
  std::vector<Found> found_;
};

// The rows that each measurement speaks of.
void score(const std::vector<HomedCell>& cells, Scores& scores);
void score(const Run& run, Scores& scores);       // of cells on the first device
void score_pair(const Run& run, Scores& scores);  // of cells on several devices, against those on one
void score_pair_loading(const Beside& result, Scores& scores);
void score_replicating(const BesideBoth& result, Scores& scores);
void score_replica(const Replica& result, Scores& scores);
// `served`: with a batch committed behind each that runs, which is what counts; `bare`: with none.
void score_homing(const Beside& served, const Beside& bare, Scores& scores);
void score_loading(const std::string& model, const Beside& served, const Beside& bare, Scores& scores);
enum class Bound { kMemory, kCompute };  // what the greedy ones are short of
void score_critical(Bound bound, const std::string& mix, const Beside& slices, const Beside& streams, Scores& scores);
// `captured`: the last one is the model itself.
void score_fallback(const Beside& alone, const Beside& captured, Scores& scores);

}  // namespace tessera::measure
