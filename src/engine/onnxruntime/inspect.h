#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/onnxruntime/environment.h"

namespace tessera::engine {

// The external data that the file names. Error: also where that lies outside the file's folder.
Result<std::vector<std::string>> checked_external_data(const std::filesystem::path& file);

// What Engine::inspect tells of an ONNX file, whatever device it will run on.
Result<FileSignature> inspect_file(const Environment& environment, const std::filesystem::path& file);

}  // namespace tessera::engine
