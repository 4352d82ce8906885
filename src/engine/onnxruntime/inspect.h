#pragma once

#include <filesystem>

#include "engine/engine.h"
#include "engine/onnxruntime/environment.h"

namespace tessera::engine {

// What Engine::inspect tells of an ONNX file, whatever device it will run on. ONNX Runtime, which has to read and check
// the whole model for that, is asked only where the file leaves something open. Error: also where external data lies
// outside the file's folder.
Result<FileSignature> inspect_file(const Environment& environment, const std::filesystem::path& file);

}  // namespace tessera::engine
