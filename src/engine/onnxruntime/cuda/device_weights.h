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

class ReplicaSet;

// Immutable; must outlive the sessions that were given it. `memory` owns the bytes.
class DeviceWeights {
 public:
  // From another replica's memory where there is one. Else from the files, in pieces, through pinned memory: one large
  // copy would hold up every launch on the card. Either way on the build stream. Called by the loader thread. Error:
  // that of DeviceRegion::grow where they do not fit.
  static Result<std::unique_ptr<const DeviceWeights>> make(const CudaParts& parts, SessionSource& memory,
                                                           const OptimizedFiles& files, const ReplicaSet& replicas);

  // Makes a session built with `options` use these. May throw Ort::Exception.
  void add_to(Ort::SessionOptions& options) const;

  Bytes bytes() const { return bytes_; }
  const device::Gpu& gpu() const { return gpu_; }

 private:
  struct Tensor {
    std::string name;
    CUdeviceptr at = 0;
    std::size_t size = 0;
    Ort::Value value;
  };

  DeviceWeights(const device::Gpu& gpu, const device::DeviceRegion& region) : gpu_(gpu), region_(region) {}
  Status copy_from(const DeviceWeights& other, const CudaParts& parts) const;
  Status copy_from(const std::vector<StoredTensor>& stored, const OptimizedFiles& files, const CudaParts& parts) const;

  const device::Gpu& gpu_;
  const device::DeviceRegion& region_;
  std::vector<Tensor> tensors_;
  Bytes bytes_;
};

}  // namespace tessera::engine
