// Which batch ran where, and when: a stretch of a device's time as a chart.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/time.h"

namespace tessera::loadgen {

// A batch that ran. Value.
struct SliceRun {
  TimePoint begin{};
  TimePoint end{};
  std::size_t model = 0;  // a place among the names
  int first_atom = 0;     // counted over all devices
  int atoms = 0;
  int rows = 0;
};

// What is known of a target's runs, those that ended first in front. Value.
struct SliceRuns {
  std::vector<std::string> models;
  int atoms = 0;  // of all devices
  std::vector<SliceRun> runs;
};

// HTML with one box for each run from that moment on: as many as a chart takes, as can be told from each other, or as
// there are within `most`. Nothing where none is known.
std::string slice_chart(const SliceRuns& known, TimePoint from, Duration most = std::chrono::seconds(1),
                        std::size_t most_runs = 600);

// HTML with the atoms that each model kept busy, in steps of what is known from that moment on. Likewise.
std::string busy_chart(const SliceRuns& known, TimePoint from);

}  // namespace tessera::loadgen
