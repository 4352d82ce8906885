#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "base/check.h"
#include "measure/numbers.h"
#include "measure/rows.h"
#include "measure/text.h"

namespace tessera::measure {
namespace {

const Row& row_of(std::string_view id) {
  const auto& all = rows();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Row& row) { return row.id == id; });
  TESSERA_CHECK(found != all.end());
  return *found;
}

bool is_worse(const Row& row, double figure, double than) {
  return row.sense == Row::Sense::kAtMost ? figure > than : figure < than;
}

std::string json_of(const Scores::Subject& subject) {
  std::string values;
  for (const double value : subject.values) {
    values += (values.empty() ? "" : ",") + number(value, "%.6g");
  }
  return "{\"note\":" + quoted(subject.note) + ",\"median\":" + number(median(subject.values), "%.6g") +
         ",\"min\":" + number(subject.least(), "%.6g") + ",\"max\":" + number(subject.most(), "%.6g") +
         ",\"values\":[" + values + "]}";
}

std::string json_of(const Scores::Score& score) {
  const Row& row = *score.row;
  std::string text = ("{\"id\":" + quoted(row.id)) + ",\"what\":" + quoted(row.what) + ",\"unit\":" + quoted(row.unit) +
                     ",\"sense\":" + (row.sense == Row::Sense::kAtMost ? "\"at most\"" : "\"at least\"") +
                     ",\"bar\":" + number(row.bar, "%.6g") +
                     ",\"figure\":" + (score.figure ? number(*score.figure, "%.6g") : "null") +
                     ",\"verdict\":" + (score.figure ? (score.met() ? "\"met\"" : "\"missed\"") : "\"not measured\"") +
                     ",\"note\":" + quoted(score.note);
  if (score.figure) {
    const Scores::Subject& subject = score.subjects[score.counts];
    text += ",\"min\":" + number(subject.least(), "%.6g") + ",\"max\":" + number(subject.most(), "%.6g") +
            ",\"repetitions\":" + std::to_string(subject.values.size()) + ",\"subjects\":[";
    for (std::size_t i = 0; i < score.subjects.size(); ++i) {
      text += (i > 0 ? ",\n   " : "\n   ") + json_of(score.subjects[i]);
    }
    text += "]";
  }
  return text + "}";
}

}  // namespace

double Scores::Subject::least() const { return *std::min_element(values.begin(), values.end()); }
double Scores::Subject::most() const { return *std::max_element(values.begin(), values.end()); }

void Scores::add(std::string_view id, std::vector<double> repetitions, std::string note) {
  const Row& row = row_of(id);
  if (repetitions.empty()) {
    return;
  }
  Subject subject{std::move(repetitions), std::move(note)};
  subject.figure = !row.worst                         ? median(subject.values)
                   : row.sense == Row::Sense::kAtMost ? subject.most()
                                                      : subject.least();
  found_.push_back({std::string(id), std::move(subject)});
}

void Scores::not_measured(std::string_view id, std::string cause) {
  static_cast<void>(row_of(id));
  found_.push_back({std::string(id), {{}, std::move(cause)}});
}

bool Scores::Score::met() const { return figure.has_value() && !is_worse(*row, *figure, row->bar); }

std::vector<Scores::Score> Scores::all() const {
  std::vector<Score> scores;
  for (const Row& row : rows()) {
    Score score{&row, std::nullopt, row.elsewhere.empty() ? "not asked for" : row.elsewhere, {}};
    for (const Found& found : found_) {
      if (found.id != row.id) {
        continue;
      }
      if (found.subject.values.empty()) {
        score.note = score.figure ? score.note : found.subject.note;
        continue;
      }
      if (!score.figure || is_worse(row, found.subject.figure, *score.figure)) {
        score.figure = found.subject.figure;
        score.note = found.subject.note;
        score.counts = score.subjects.size();
      }
      score.subjects.push_back(found.subject);
    }
    scores.push_back(std::move(score));
  }
  return scores;
}

std::string Scores::table() const {
  std::string text;
  for (const Score& score : all()) {
    const Row& row = *score.row;
    const std::string bar =
        (row.sense == Row::Sense::kAtMost ? "<= " : ">= ") + number(row.bar, "%.4g") + " " + row.unit;
    std::string range;
    if (score.figure && score.subjects[score.counts].values.size() > 1) {
      const Subject& subject = score.subjects[score.counts];
      range = number(subject.least()) + " to " + number(subject.most());
    }
    std::array<char, 160> line{};
    std::snprintf(line.data(), line.size(), "%-12s %-83s %10s  %-9s %-18s ",
                  score.figure ? (score.met() ? "met" : "MISSED") : "not measured", row.what.c_str(),
                  (score.figure ? number(*score.figure) : "-").c_str(), bar.c_str(), range.c_str());
    text += line.data() + score.note + "\n";
  }
  return text;
}

std::string Scores::json() const {
  std::string text;
  for (const Score& score : all()) {
    text += (text.empty() ? "\n " : ",\n ") + json_of(score);
  }
  return "[" + text + "]";
}

}  // namespace tessera::measure
