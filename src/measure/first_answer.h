// How long a model takes from nothing to its first answer: here, and in plain ONNX Runtime with the same options.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/cuda/cuda_device.h"
#include "engine/engine.h"

namespace tessera::measure {

struct FirstAnswer {
  std::string model;
  std::vector<double> ours_ms;   // one a round: load, capture, home in the whole device, run
  std::vector<double> plain_ms;  // make a session, run it once
  double ratio() const;          // of the medians
};
std::string to_json(const FirstAnswer& result);

// One row, one bucket, nothing in any cache; both in turns, after one of each that does not count: it brings what the
// process loads once. Called by the loader thread.
Result<FirstAnswer> first_answer(device::CudaDevice& device, engine::Engine& engine,
                                 const std::filesystem::path& repository, const std::string& model, int rounds);

}  // namespace tessera::measure
