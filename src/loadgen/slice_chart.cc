#include "loadgen/slice_chart.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>

#include "loadgen/plot.h"
#include "loadgen/text.h"

namespace tessera::loadgen {
namespace {

constexpr std::size_t kMostModels = 8;  // with a line of their own: as many as there are colours
constexpr int kSteps = 60;
constexpr std::size_t kLeastRuns = 100;  // of a chart, where there are as many
constexpr int kRunsAcross = 100;         // of median length, so that one can be seen

// By when they began.
std::vector<SliceRun> those_from(const SliceRuns& known, TimePoint from) {
  std::vector<SliceRun> out;
  std::copy_if(known.runs.begin(), known.runs.end(), std::back_inserter(out),
               [from](const SliceRun& run) { return run.end > from; });
  std::sort(out.begin(), out.end(), [](const SliceRun& a, const SliceRun& b) { return a.begin < b.begin; });
  return out;
}

// The end of a stretch in which runs can be told from each other.
TimePoint end_of_legible(const std::vector<SliceRun>& runs, TimePoint from) {
  if (runs.size() <= kLeastRuns) {
    return TimePoint::max();
  }
  std::vector<Duration> took;
  took.reserve(runs.size());
  for (const SliceRun& run : runs) {
    took.push_back(run.end - run.begin);
  }
  const auto middle = took.begin() + static_cast<std::ptrdiff_t>(took.size() / 2);
  std::nth_element(took.begin(), middle, took.end());
  return std::max(from + kRunsAcross * *middle, runs[kLeastRuns].begin);
}

std::string title_of(const SliceRun& run, const std::string& model, TimePoint from) {
  char out[160];
  std::snprintf(out, sizeof out, ": %d row%s, ", run.rows, run.rows == 1 ? "" : "s");
  std::string text = model + out;
  const int last = run.first_atom + run.atoms - 1;
  text += run.atoms == 1 ? "atom " + std::to_string(last)
                         : "atoms " + std::to_string(run.first_atom) + " to " + std::to_string(last);
  std::snprintf(out, sizeof out, ", %.3f to %.3f ms", ms(run.begin - from), ms(run.end - from));
  return text + out;
}

// How many atoms each model kept busy in each step of so many seconds.
std::vector<std::vector<double>> busy_atoms(const std::vector<SliceRun>& runs, std::size_t models, TimePoint from,
                                            Duration step) {
  std::vector<std::vector<double>> out(models, std::vector<double>(kSteps));
  for (const SliceRun& run : runs) {
    for (TimePoint at = std::max(run.begin, from); at < run.end;) {
      const auto place = (at - from) / step;
      if (place >= kSteps) {
        break;
      }
      const TimePoint until = std::min(run.end, from + (place + 1) * step);
      out[run.model][static_cast<std::size_t>(place)] +=
          static_cast<double>((until - at).count()) / static_cast<double>(step.count()) * run.atoms;
      at = until;
    }
  }
  return out;
}

}  // namespace

std::string slice_chart(const SliceRuns& known, TimePoint from, Duration most, std::size_t most_runs) {
  std::vector<SliceRun> runs = those_from(known, from);
  if (runs.empty() || known.atoms == 0) {
    return {};
  }
  TimePoint until = std::min(from + most, end_of_legible(runs, from));
  if (runs.size() > most_runs) {
    until = std::min(until, runs[most_runs].begin);
    runs.resize(most_runs);
  }
  until = std::min(until, std::max_element(runs.begin(), runs.end(), [](const SliceRun& a, const SliceRun& b) {
                            return a.end < b.end;
                          })->end);
  if (until <= from) {
    return {};
  }
  Plot plot({"ms", 0, ms(until - from)}, {"atoms", 0, static_cast<double>(known.atoms)});
  for (std::size_t model = 0; model < known.models.size(); ++model) {
    std::vector<Plot::Box> boxes;
    for (const SliceRun& run : runs) {
      if (run.model == model && run.begin < until) {
        boxes.push_back({ms(std::max(run.begin, from) - from), ms(std::min(run.end, until) - from),
                         static_cast<double>(run.first_atom), static_cast<double>(run.first_atom + run.atoms),
                         title_of(run, known.models[model], from)});
      }
    }
    plot.boxes(known.models[model], boxes);
  }
  return plot.svg();
}

std::string busy_chart(const SliceRuns& known, TimePoint from) {
  const std::vector<SliceRun> runs = those_from(known, from);
  if (runs.empty() || known.atoms == 0) {
    return {};
  }
  // What ended last is the end of what is known; a run that had not ended by then is in it with no part.
  TimePoint end = from;
  for (const SliceRun& run : runs) {
    end = std::max(end, run.end);
  }
  const Duration step = std::max<Duration>((end - from) / kSteps, Duration(1));
  const auto busy = busy_atoms(runs, known.models.size(), from, step);
  std::vector<double> all(kSteps);
  std::vector<std::pair<double, std::size_t>> most;
  for (std::size_t model = 0; model < busy.size(); ++model) {
    double sum = 0;
    for (std::size_t place = 0; place < kSteps; ++place) {
      all[place] += busy[model][place];
      sum += busy[model][place];
    }
    most.emplace_back(-sum, model);
  }
  std::sort(most.begin(), most.end());
  most.resize(std::min(most.size(), kMostModels - 1));
  Plot plot({"seconds", 0, ms(end - from) / 1e3}, {"atoms busy", 0, static_cast<double>(known.atoms)});
  const auto line = [&](const std::string& name, const std::vector<double>& values) {
    Plot::Points points;
    for (std::size_t place = 0; place < values.size(); ++place) {
      points.emplace_back((static_cast<double>(place) + 0.5) * ms(step) / 1e3, values[place]);
    }
    plot.line(name, points);
  };
  line("all", all);
  for (const auto& [sum, model] : most) {
    line(known.models[model], busy[model]);
  }
  return plot.svg();
}

}  // namespace tessera::loadgen
