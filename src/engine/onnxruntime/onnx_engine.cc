#include "engine/onnxruntime/onnx_engine.h"

#include <string>
#include <utility>
#include <vector>

#include "engine/onnxruntime/inspect.h"

namespace tessera::engine {
Result<std::unique_ptr<OnnxEngine>> OnnxEngine::create(device::HostTopology topology) {
  TESSERA_ASSIGN_OR_RETURN(std::shared_ptr<const Environment> environment, Environment::create());
  return std::unique_ptr<OnnxEngine>(
      new OnnxEngine(std::move(environment), std::move(topology)));  // NOLINT: the constructor is private
}

std::string OnnxEngine::version() const { return Ort::GetVersionString(); }

Result<FileSignature> OnnxEngine::inspect(const std::filesystem::path& file) {
  return inspect_file(*environment_, file);
}

Result<std::unique_ptr<LoadedModel>> OnnxEngine::load(const LoadOptions& options) {
  std::optional<FileSignature> signature = options.signature;
  if (!signature) {
    TESSERA_ASSIGN_OR_RETURN(signature, inspect_file(*environment_, options.file));
  }
  return OnnxModel::load(environment_, copies_, topology_, options, std::move(signature->external_data));
}

}  // namespace tessera::engine
