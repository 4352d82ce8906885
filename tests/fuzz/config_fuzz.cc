// config.pbtxt and its JSON form: whatever the bytes, parsing and completing end with a result or one error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "model/config.h"

namespace {

tessera::engine::FileSignature signature() {
  tessera::engine::FileSignature file;
  file.inputs = {{"INPUT0", tessera::DType::kFp32, {-1, 16}}, {"INPUT1", tessera::DType::kBytes, {-1, -1, 3}}};
  file.outputs = {{"OUTPUT0", tessera::DType::kInt64, {-1, 16}}};
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const bool json = !bytes.empty() && bytes.front() == '{';
  const auto written = json ? tessera::model::parse_config_json(bytes) : tessera::model::parse_config_text(bytes);
  if (!written.ok()) {
    TESSERA_CHECK(!written.error().message().empty());
    return 0;
  }
  tessera::model::ConfigDefaults defaults;
  defaults.device_kind = "host";
  const auto config = tessera::model::complete_config("model", *written, signature(), defaults);
  if (!config.ok()) {
    TESSERA_CHECK(!config.error().message().empty());
    return 0;
  }
  // What is shown must be loadable again, and mean the same.
  const std::string shown = tessera::model::config_json(*config->proto);
  const auto again = tessera::model::parse_config_json(shown);
  TESSERA_CHECK(again.ok());
  const auto completed = tessera::model::complete_config("model", *again, signature(), defaults);
  TESSERA_CHECK(completed.ok() && tessera::model::config_json(*completed->proto) == shown);
  return 0;
}
