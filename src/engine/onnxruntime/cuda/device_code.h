// For which cards a library has code: a bundle carries that of one architecture alone, and on another card nothing
// would say so before the first kernel.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/cuda/gpu.h"

namespace tessera::engine {

// The oldest that our own kernels are built for (device/cuda/plan_frame_ptx.h), and ONNX Runtime's.
inline constexpr int kOldestArchitecture = 75;

// What a library holds, as far as a card of one architecture is concerned. Immutable value.
struct DeviceCode {
  bool runs = false;             // some of it runs on that card
  std::vector<int> others = {};  // else: architectures that there is code for, ascending; none: nothing was understood
};

// `library`: a shared library as nvcc makes it, whole. A set of kernels has machine code for some architectures, and
// may have PTX, which later ones run too; what was taken out to make it small is zero. Architectures are numbers as of
// Gpu::architecture().
DeviceCode device_code_for(int architecture, std::span<const std::byte> library);

// Whether ONNX Runtime's CUDA provider in that file has code for the card. A file that is not there, or is not
// understood, is no error here. Error: kUnavailable, one line that says what to do.
Status check_architecture(const device::Gpu& gpu, const std::filesystem::path& provider);

// Where ONNX Runtime looks for its CUDA provider: beside its own library.
std::filesystem::path provider_file();

// What libraries of CUDA mean by `failure`, where that is that they have no code for the card; else ok. Error:
// kUnavailable, one line that says what to do.
Status check_first_run(const device::Gpu& gpu, const Error& failure);

}  // namespace tessera::engine
