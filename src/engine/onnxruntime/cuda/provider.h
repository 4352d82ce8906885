// ONNX Runtime's CUDA provider: whether it is there, and how its sessions are set up.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/onnxruntime/cuda/cuda_parts.h"
#include "engine/onnxruntime/optimized_files.h"

namespace tessera::engine {

// The choices of the provider that make a model faster or slower. Immutable value.
struct ProviderOptions {
  bool channels_last = true;    // convolutions in NHWC
  bool fuse_conv_bias = false;  // one kernel for convolution, bias and activation where cuDNN has one
  // Algorithms are chosen by a search that times them: fast, but two loads may choose differently. Else by cuDNN's
  // rules.
  bool timed_search = true;

  std::string name() const;  // "nhwc", "nhwc+bias", "nhwc+rules": part of plan ids and cache keys
  static std::optional<ProviderOptions> from(std::string_view name);

  bool operator==(const ProviderOptions&) const = default;
};

// What is tried where the fastest is to be found; the first is what a model is published with. All of them run the same
// optimised file. Measured on an H200: of a mobilenet_v2 with batches of 8 the second takes half the time, of a
// resnet50 a quarter more.
std::span<const ProviderOptions> tried_options();

// Those that are tried, and what all sessions have beside them: a model's times hold for them alone.
std::string provider_settings();

// Makes a session built with `options` compute on the gpu, everything of it queued on `stream`.
// May throw Ort::Exception: also where this build of ONNX Runtime has no CUDA provider.
void add_provider(const CudaParts& parts, CUstream stream, const ProviderOptions& choice, Ort::SessionOptions& options);

// Error: kUnavailable, one line that says what is missing.
Status check_provider(const CudaParts& parts);

OptimizedFor optimized_for(const CudaParts& parts, const ProviderOptions& choice);

}  // namespace tessera::engine
