// Latency of a model by batch size and slice size, each measured alone on the device: what `tessera profile` tells.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "core/slice.h"
#include "engine/engine.h"
#include "sched/profile.h"

namespace tessera::measure {

struct GridOptions {
  std::vector<std::filesystem::path> repositories;
  std::string model;
  std::optional<std::int64_t> version;  // else the newest that its configuration selects
  std::optional<Duration> slo;          // else its configuration's
  // Runs of each point: as many as fit into the time, within these bounds; the first one is not counted.
  int least_runs = 5;
  int most_runs = 200;
  Duration point_time = std::chrono::milliseconds(300);
};

// Of the runs of one batch size in one slice.
struct GridPoint {
  std::int32_t rows = 1;
  Slice slice;  // the first of its size
  std::int32_t processors = 1;
  int runs = 0;
  Duration fastest{0};
  Duration median{0};
  Duration slowest{0};
  double spread = 0;  // deviation of the logarithm of a run's time
};

// One model on one device. Value.
struct Grid {
  std::string model;
  std::int64_t version = 0;
  std::optional<Duration> slo;
  Bytes memory;                       // weights and one home; 0: the engine does not say
  std::vector<GridPoint> points;      // by rows, then processors
  std::vector<std::string> left_out;  // slices that the model cannot run in, and why

  std::vector<sched::ProfilePoint> profile() const;
};

// On the calling thread, which becomes the device's loader. `tell` hears which share is done. Error: what is wrong with
// the model, or that no made-up input fits it.
Result<Grid> measure_grid(device::Device& device, engine::Engine& engine, const std::string& device_kind,
                          const GridOptions& options, const std::function<void(double done)>& tell = {});

}  // namespace tessera::measure
