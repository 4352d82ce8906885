#include "engine/onnxruntime/inspect.h"

#include <onnxruntime_session_options_config_keys.h>

#include <utility>

#include "engine/onnxruntime/file_bytes.h"
#include "engine/onnxruntime/onnx_file.h"
#include "engine/onnxruntime/signature.h"

namespace tessera::engine {

Result<std::vector<std::string>> checked_external_data(const std::filesystem::path& file) {
  TESSERA_ASSIGN_OR_RETURN(const FileBytes content, FileBytes::read(file));
  TESSERA_ASSIGN_OR_RETURN(std::vector<std::string> locations, external_locations(content.bytes()));
  TESSERA_RETURN_IF_ERROR(check_external_data(locations, file.parent_path()));
  return locations;
}

Result<FileSignature> inspect_file(const Environment& environment, const std::filesystem::path& file) {
  TESSERA_ASSIGN_OR_RETURN(std::vector<std::string> external_data, checked_external_data(file));
  auto session = guarded(Blame::kModelFile, [&] {
    Ort::SessionOptions options = environment.session_options();
    options.SetGraphOptimizationLevel(ORT_DISABLE_ALL);
    options.AddConfigEntry(kOrtSessionOptionsConfigDisablePrepacking, "1");
    return Ort::Session(environment.env(), file.c_str(), options);
  });
  if (!session) {
    return session.error();
  }
  TESSERA_ASSIGN_OR_RETURN(FileSignature signature, read_signature(*session));
  signature.external_data = std::move(external_data);
  return signature;
}

}  // namespace tessera::engine
