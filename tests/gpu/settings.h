// What tests on a GPU are told by the environment.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

namespace tessera::test_support {

inline std::string setting(const char* name, const char* otherwise) {
  const char* found = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any other thread
  return found == nullptr || *found == '\0' ? otherwise : found;
}

// The file of a network in the repository that TESSERA_GPU_MODELS names, as bench/models.py makes it. Nothing: it is
// not there.
inline std::optional<std::filesystem::path> real_model(const std::string& net) {
  const std::string repository = setting("TESSERA_GPU_MODELS", "");
  const std::filesystem::path file = std::filesystem::path(repository) / net / "1" / "model.onnx";
  return !repository.empty() && std::filesystem::exists(file) ? std::optional(file) : std::nullopt;
}

}  // namespace tessera::test_support
