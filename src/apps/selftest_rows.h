// The part of `tessera selftest` that measures what a GPU has to show (measure/rows.h), on models of a repository.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "apps/devices.h"
#include "measure/rows.h"

namespace tessera::apps {

struct RowOptions {
  // What can be asked for: "homed", "homing", "loading", "critical", "sharing", "realloc"; "pair", of the first two
  // devices.
  static const std::vector<std::string>& known();

  std::filesystem::path models;
  std::vector<std::string> parts = known();
  bool full = false;  // more models, sizes and rounds
};

// On the loader thread of the first of `devices`, which all but "pair" is measured on. A part that fails leaves its
// rows not measured, with the cause; `after_each` part.
void measure_rows(std::vector<Computing>& devices, const RowOptions& options, measure::Scores& scores,
                  const std::function<void()>& after_each);

}  // namespace tessera::apps
