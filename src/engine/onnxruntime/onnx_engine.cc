#include "engine/onnxruntime/onnx_engine.h"

#include <onnxruntime_session_options_config_keys.h>

#include <utility>

#include "engine/onnxruntime/file_bytes.h"
#include "engine/onnxruntime/onnx_file.h"
#include "engine/onnxruntime/signature.h"

namespace tessera::engine {
namespace {

Status check_file(const std::filesystem::path& file) {
  TESSERA_ASSIGN_OR_RETURN(const FileBytes content, FileBytes::map(file));
  return check_external_data(content.bytes(), file.parent_path());
}

}  // namespace

Result<std::unique_ptr<OnnxEngine>> OnnxEngine::create(CpusOfSlice cpus_of) {
  TESSERA_ASSIGN_OR_RETURN(std::shared_ptr<const Environment> environment, Environment::create());
  return std::unique_ptr<OnnxEngine>(
      new OnnxEngine(std::move(environment), std::move(cpus_of)));  // NOLINT: the constructor is private
}

std::string OnnxEngine::version() const { return Ort::GetVersionString(); }

Result<FileSignature> OnnxEngine::inspect(const std::filesystem::path& file) {
  TESSERA_RETURN_IF_ERROR(check_file(file));
  auto session = guarded(Blame::kModelFile, [&] {
    Ort::SessionOptions options = environment_->session_options();
    options.SetGraphOptimizationLevel(ORT_DISABLE_ALL);
    options.AddConfigEntry(kOrtSessionOptionsConfigDisablePrepacking, "1");
    return Ort::Session(environment_->env(), file.c_str(), options);
  });
  if (!session) {
    return session.error();
  }
  return read_signature(*session);
}

Result<std::unique_ptr<LoadedModel>> OnnxEngine::load(const LoadOptions& options) {
  TESSERA_RETURN_IF_ERROR(check_file(options.file));
  return OnnxModel::load(environment_, copies_, cpus_of_, options);
}

}  // namespace tessera::engine
