#include "engine/onnxruntime/inspect.h"

#include <onnxruntime_session_options_config_keys.h>

#include <utility>

#include "engine/onnxruntime/file_bytes.h"
#include "engine/onnxruntime/onnx_file.h"
#include "engine/onnxruntime/onnx_outline.h"
#include "engine/onnxruntime/signature.h"

namespace tessera::engine {

namespace {

Result<FileSignature> ask_onnxruntime(const Environment& environment, const std::filesystem::path& file) {
  auto session = guarded(Blame::kModelFile, [&] {
    Ort::SessionOptions options = environment.session_options();
    options.SetGraphOptimizationLevel(ORT_DISABLE_ALL);
    options.AddConfigEntry(kOrtSessionOptionsConfigDisablePrepacking, "1");
    return Ort::Session(environment.env(), file.c_str(), options);
  });
  if (!session) {
    return session.error();
  }
  return read_signature(*session);
}

}  // namespace

Result<FileSignature> inspect_file(const Environment& environment, const std::filesystem::path& file) {
  std::vector<std::string> external_data;
  std::optional<DeclaredSignature> declared;
  {
    TESSERA_ASSIGN_OR_RETURN(const ReadableFile content, ReadableFile::open(file));
    TESSERA_ASSIGN_OR_RETURN(const OnnxOutline outline, read_outline(content));
    TESSERA_ASSIGN_OR_RETURN(external_data, external_locations(outline.bytes()));
    TESSERA_RETURN_IF_ERROR(check_external_data(external_data, file.parent_path()));
    TESSERA_ASSIGN_OR_RETURN(declared, read_declared_signature(outline.bytes()));
  }
  auto signature = declared ? signature_of(*std::move(declared)) : ask_onnxruntime(environment, file);
  if (signature.ok()) {
    signature->external_data = std::move(external_data);
  }
  return signature;
}

}  // namespace tessera::engine
