// A model's large initialisers, once in a gpu's memory for all its sessions.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/onnxruntime/cuda/cuda_parts.h"
#include "engine/onnxruntime/file_bytes.h"
#include "engine/onnxruntime/onnx_file.h"
#include "engine/onnxruntime/optimized_files.h"

namespace tessera::engine {

// Immutable; must outlive the sessions that were given it. `memory` owns the bytes.
class DeviceWeights {
 public:
  // Copies in pieces, through pinned memory, on the build stream: one large copy would hold up every launch on the
  // card. Called by the loader thread. Error: that of DeviceRegion::grow where they do not fit.
  static Result<std::unique_ptr<const DeviceWeights>> upload(const CudaParts& parts, SessionSource& memory,
                                                             const OptimizedFiles& files);

  // Makes a session built with `options` use these. May throw Ort::Exception.
  void add_to(Ort::SessionOptions& options) const;

  Bytes bytes() const { return bytes_; }

 private:
  struct Tensor {
    std::string name;
    Ort::Value value;
  };

  std::vector<Tensor> tensors_;
  Bytes bytes_;
};

}  // namespace tessera::engine
