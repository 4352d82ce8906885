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
  // `topology`: that of the host device whose slices the models will run in.
  static Result<std::unique_ptr<OnnxEngine>> create(device::HostTopology topology);

  const std::string& name() const override { return name_; }
  std::string version() const override;
  Result<FileSignature> inspect(const std::filesystem::path& file) override;
  Result<std::unique_ptr<LoadedModel>> load(const LoadOptions& options) override;
  Bytes copied_tensor_bytes() const override { return copies_->total(); }

 private:
  OnnxEngine(std::shared_ptr<const Environment> environment, device::HostTopology topology)
      : environment_(std::move(environment)), topology_(std::move(topology)) {}

  const std::string name_ = "onnxruntime";
  const std::shared_ptr<const Environment> environment_;
  const std::shared_ptr<CopyCounter> copies_ = std::make_shared<CopyCounter>();
  const device::HostTopology topology_;
};

}  // namespace tessera::engine
