// `tessera selftest`: whether a device, its engine and its slices do here what they are to do.
#pragma once

#include <string>

#include "apps/devices.h"
#include "apps/selftest_rows.h"

namespace CLI {  // NOLINT(readability-identifier-naming): theirs
class App;
}

namespace tessera::apps {

struct SelftestOptions {
  DeviceChoice device;
  bool full = false;  // every slice, lane and batch size, instead of the smallest and the largest of each
  std::string json;   // a file for the findings; empty: none
  RowOptions rows;    // what to measure, where the device is a GPU or models are named
};

// Declares the flags on `command`; parsing fills `options`, which must live as long as the command.
void add_selftest_flags(CLI::App& command, SelftestOptions& options);

// Prints the findings, and the rows that were measured. The exit status: 0 when all findings hold; a row that misses
// its bar says so, and fails nothing.
int selftest(const SelftestOptions& options);

}  // namespace tessera::apps
