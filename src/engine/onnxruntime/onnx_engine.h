// The general engine: ONNX models through ONNX Runtime's CPU provider, for the host device.
#pragma once

#include <memory>
#include <string>

#include "engine/engine.h"
#include "engine/onnxruntime/onnx_model.h"

namespace tessera::engine {

// Thread-safe. Its models may outlive it.
class OnnxEngine final : public Engine {
 public:
  // `cpus_of` tells which processors a slice of the host device stands for.
  static Result<std::unique_ptr<OnnxEngine>> create(CpusOfSlice cpus_of);

  const std::string& name() const override { return name_; }
  std::string version() const override;
  Result<FileSignature> inspect(const std::filesystem::path& file) override;
  Result<std::unique_ptr<LoadedModel>> load(const LoadOptions& options) override;
  Bytes copied_tensor_bytes() const override { return copies_->total(); }

 private:
  OnnxEngine(std::shared_ptr<const Environment> environment, CpusOfSlice cpus_of)
      : environment_(std::move(environment)), cpus_of_(std::move(cpus_of)) {}

  const std::string name_ = "onnxruntime";
  const std::shared_ptr<const Environment> environment_;
  const std::shared_ptr<CopyCounter> copies_ = std::make_shared<CopyCounter>();
  const CpusOfSlice cpus_of_;
};

}  // namespace tessera::engine
