// The JSON bodies of the endpoints other than inference.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/lifecycle.h"
#include "model/live_params.h"

namespace tessera::server::http {

// Errors of all: kInvalidArgument for malformed JSON, wrong types and values out of range. An empty body is an empty
// object.

// {"ready": bool}
Result<bool> index_ready_only(std::string_view body);

struct RegisterBody {
  std::string key;
  std::uint64_t offset = 0;
  std::uint64_t byte_size = 0;
};
Result<RegisterBody> register_body(std::string_view body);

// {"parameters": {"config": "...", "file:<version>/<name>": "<base64>"}}
Result<model::LoadRequest> load_body(std::string_view model, std::string_view body);

// Checks that an unload's body is JSON; nothing in it matters here.
Status unload_body(std::string_view body);

// {"slo_ms": 50, "weight": 2, ...}: numbers, true or false, strings as in config.pbtxt; null for none.
inline constexpr std::size_t kMaxChangedParams = 64;
Result<model::ParamChanges> params_body(std::string_view body);

// {"policy": "..."}
inline constexpr std::size_t kMaxPolicyText = 4096;
Result<std::string> policy_body(std::string_view body);

// {"add": "cuda:1"}
inline constexpr std::size_t kMaxDeviceText = 256;
Result<std::string> device_body(std::string_view body);

// Standard alphabet with padding; nothing where the text is not that.
bool decode_base64(std::string_view text, std::string& bytes);

}  // namespace tessera::server::http
