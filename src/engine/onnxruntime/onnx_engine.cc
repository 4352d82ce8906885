#include "engine/onnxruntime/onnx_engine.h"

#include <onnxruntime_session_options_config_keys.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/onnxruntime/file_bytes.h"
#include "engine/onnxruntime/onnx_file.h"
#include "engine/onnxruntime/signature.h"

namespace tessera::engine {
namespace {

// The external data that the file names. Error: also where that lies outside the file's folder.
Result<std::vector<std::string>> checked_external_data(const std::filesystem::path& file) {
  TESSERA_ASSIGN_OR_RETURN(const FileBytes content, FileBytes::read(file));
  TESSERA_ASSIGN_OR_RETURN(std::vector<std::string> locations, external_locations(content.bytes()));
  TESSERA_RETURN_IF_ERROR(check_external_data(locations, file.parent_path()));
  return locations;
}

}  // namespace

Result<std::unique_ptr<OnnxEngine>> OnnxEngine::create(device::HostTopology topology) {
  TESSERA_ASSIGN_OR_RETURN(std::shared_ptr<const Environment> environment, Environment::create());
  return std::unique_ptr<OnnxEngine>(
      new OnnxEngine(std::move(environment), std::move(topology)));  // NOLINT: the constructor is private
}

std::string OnnxEngine::version() const { return Ort::GetVersionString(); }

Result<FileSignature> OnnxEngine::inspect(const std::filesystem::path& file) {
  TESSERA_ASSIGN_OR_RETURN(std::vector<std::string> external_data, checked_external_data(file));
  auto session = guarded(Blame::kModelFile, [&] {
    Ort::SessionOptions options = environment_->session_options();
    options.SetGraphOptimizationLevel(ORT_DISABLE_ALL);
    options.AddConfigEntry(kOrtSessionOptionsConfigDisablePrepacking, "1");
    return Ort::Session(environment_->env(), file.c_str(), options);
  });
  if (!session) {
    return session.error();
  }
  TESSERA_ASSIGN_OR_RETURN(FileSignature signature, read_signature(*session));
  signature.external_data = std::move(external_data);
  return signature;
}

Result<std::unique_ptr<LoadedModel>> OnnxEngine::load(const LoadOptions& options) {
  TESSERA_ASSIGN_OR_RETURN(std::vector<std::string> external_data, checked_external_data(options.file));
  return OnnxModel::load(environment_, copies_, topology_, options, std::move(external_data));
}

}  // namespace tessera::engine
