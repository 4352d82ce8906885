// What the provider's libraries do once in a process and card, at their first use, done before anybody is served.
#pragma once

#include "engine/onnxruntime/cuda/cuda_parts.h"

namespace tessera::engine {

// Runs a convolution and a product, each with an algorithm that is searched for: cuDNN pins memory where it first looks
// for algorithms, and all of them load code that every model needs; launches would wait for both (decision 047). The
// replacements of provider_calls.h are in place. Runs on a thread of its own and waits for it, so that the libraries'
// handles go to the next thread that loads something. Nobody else uses the parts meanwhile.
// Error: what ONNX Runtime says.
Status run_libraries_once(const CudaParts& parts);

}  // namespace tessera::engine
