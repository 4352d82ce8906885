// What the tests of model/ share: short ways to a completed configuration.
#pragma once

#include <string>

#include "model/config.h"

namespace tessera::model {

inline ConfigDefaults host_defaults() {
  ConfigDefaults defaults;
  defaults.device_kind = "host";
  return defaults;
}

// x: FP32 [free, 16], y: INT32 [free, 4].
inline engine::FileSignature batched_file() {
  return {{{"x", DType::kFp32, {-1, 16}}}, {{"y", DType::kInt32, {-1, 4}}}, {}};
}

// x: FP32 [1, 3, 8, 8], y: FP32 [10].
inline engine::FileSignature fixed_file() {
  return {{{"x", DType::kFp32, {1, 3, 8, 8}}}, {{"y", DType::kFp32, {10}}}, {}};
}

inline Result<ModelConfig> complete_text(const std::string& text, const engine::FileSignature& file = batched_file(),
                                         const ConfigDefaults& defaults = host_defaults()) {
  auto written = parse_config_text(text);
  if (!written.ok()) return written.error();
  return complete_config("m", *written, file, defaults);
}

// The error that `text` gives, with its kind in front; empty where there is none.
inline std::string error_of(const std::string& text, const engine::FileSignature& file = batched_file(),
                            const ConfigDefaults& defaults = host_defaults()) {
  const auto config = complete_text(text, file, defaults);
  return config.ok() ? "" : std::string(to_string(config.error().code())) + ": " + config.error().message();
}

}  // namespace tessera::model
