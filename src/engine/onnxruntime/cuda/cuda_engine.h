// The general engine on GPUs: ONNX models through ONNX Runtime's CUDA provider, captured once and run in any slice.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "engine/engine.h"
#include "engine/onnxruntime/cuda/cuda_parts.h"

namespace tessera::engine {

// Thread-safe. Its models may outlive it, the device may not end before either.
class CudaEngine final : public Engine {
 public:
  // `others`: of those that this process has already; with one of the same gpu it shares what is one a gpu. The first
  // one is to be made before other threads read the environment. Error: kUnavailable where ONNX Runtime's CUDA provider
  // cannot be loaded or has no code for such a card; one line that says what to do.
  static Result<std::unique_ptr<CudaEngine>> create(device::CudaDevice& device,
                                                    std::span<const CudaShared> others = {});

  const std::string& name() const override { return name_; }
  std::string version() const override;
  std::string options() const override;
  Result<FileSignature> inspect(const std::filesystem::path& file) override;
  Result<std::unique_ptr<LoadedModel>> load(const LoadOptions& options) override;
  CudaShared shared() const { return {parts_->gpu, parts_->allocator, parts_->kernels, parts_->replicas}; }
  bool captures() const override { return true; }
  Bytes copied_tensor_bytes() const override { return parts_->copies->total(); }

 private:
  explicit CudaEngine(std::shared_ptr<const CudaParts> parts) : parts_(std::move(parts)) {}

  const std::string name_ = "onnxruntime";
  const std::shared_ptr<const CudaParts> parts_;
};

}  // namespace tessera::engine
