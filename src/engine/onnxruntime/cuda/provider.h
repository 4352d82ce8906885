// ONNX Runtime's CUDA provider: whether it is there, and how its sessions are set up.
#pragma once

#include <string>

#include "engine/onnxruntime/cuda/cuda_parts.h"
#include "engine/onnxruntime/optimized_files.h"

namespace tessera::engine {

// The choices of the provider that make a model faster or slower. Immutable value.
struct ProviderOptions {
  bool channels_last = true;    // convolutions in NHWC
  bool fuse_conv_bias = false;  // one kernel for convolution, bias and activation where cuDNN has one
  std::string name() const;     // "nhwc", "nhwc+bias": part of plan ids and cache keys
};

// Makes a session built with `options` compute on the gpu, everything of it queued on the device's build stream.
// May throw Ort::Exception: also where this build of ONNX Runtime has no CUDA provider.
void add_provider(const CudaParts& parts, const ProviderOptions& choice, Ort::SessionOptions& options);

// Error: kUnavailable, one line that says what is missing.
Status check_provider(const CudaParts& parts);

OptimizedFor optimized_for(const CudaParts& parts, const ProviderOptions& choice);

}  // namespace tessera::engine
