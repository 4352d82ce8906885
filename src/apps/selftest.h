// `tessera selftest`: whether a device, its engine and its slices do here what they are to do.
#pragma once

#include <string>

#include "apps/devices.h"

namespace CLI {  // NOLINT(readability-identifier-naming): theirs
class App;
}

namespace tessera::apps {

struct SelftestOptions {
  DeviceChoice device;
  bool full = false;  // every slice, lane and batch size, instead of the smallest and the largest of each
  std::string json;   // a file for the findings; empty: none
};

// Declares the flags on `command`; parsing fills `options`, which must live as long as the command.
void add_selftest_flags(CLI::App& command, SelftestOptions& options);

// Prints the findings. The exit status: 0 when all holds.
int selftest(const SelftestOptions& options);

}  // namespace tessera::apps
