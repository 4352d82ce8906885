// Whether a plan that was captured elsewhere and homed in a slice is as fast there as one that was tuned and captured
// in that slice, and gives the same bits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/cuda/cuda_device.h"
#include "engine/onnxruntime/cuda/cuda_engine.h"

namespace tessera::measure {

struct HomedOptions {
  std::filesystem::path models;
  std::vector<std::string> names{"resnet50", "mobilenet_v2"};
  std::vector<std::int32_t> batches{1, 8};
  // Atoms; 0: the whole device. One after the other takes one of the streams that the card has left.
  std::vector<std::uint16_t> sizes{1, 0};
  int repetitions = 3;
  int runs = 10;              // of each arm in turns, in each of them
  bool timed_choices = true;  // else both take what rules say, which a slice may change as well
};

// Medians over all runs of one model, batch and slice.
struct HomedCell {
  std::string model;
  std::int32_t batch = 0;
  Slice slice;
  double homed_ms = 0;
  double native_ms = 0;
  bool same_bits = false;
  std::string refused;              // why there are no figures
  std::vector<double> ratios = {};  // of the medians, by repetition
  double ratio() const { return native_ms > 0 ? homed_ms / native_ms : 0; }
};
std::string to_json(const HomedCell& cell);

// Why the model's graph cannot be homed, as the audit of a capture in the loader's slice says; empty: it can. On the
// loader thread. Error: the model cannot be loaded.
Result<std::string> why_refused(device::CudaDevice& device, engine::CudaEngine& engine,
                                const std::filesystem::path& repository, const std::string& model);

// On the loader thread, with nothing else going on on the device. `tell` hears of each as it comes. Error: only where
// nothing can be measured.
Result<std::vector<HomedCell>> compare_homed(device::CudaDevice& device, engine::CudaEngine& engine,
                                             const HomedOptions& options,
                                             const std::function<void(const HomedCell&)>& tell = {});

}  // namespace tessera::measure
