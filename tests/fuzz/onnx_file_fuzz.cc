// The reader of ONNX files: any bytes are read or refused.
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/onnxruntime/onnx_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = std::as_bytes(std::span<const std::uint8_t>(data, size));
  static_cast<void>(tessera::engine::read_initializers(message));
  static_cast<void>(tessera::engine::external_locations(message));
  static_cast<void>(tessera::engine::read_declared_signature(message));
  return 0;
}
