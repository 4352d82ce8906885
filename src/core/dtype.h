// Element types of tensors, with the names of the Open Inference Protocol v2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tessera {

enum class DType : std::uint8_t {
  kBool,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFp16,
  kBf16,
  kFp32,
  kFp64,
  kBytes,  // variable length; in memory each element is a 4-byte little-endian length and that many bytes
};

// Bytes of one element; 0 for kBytes.
std::size_t size_of(DType dtype);

// "FP32", "BYTES", ...
std::string_view protocol_name(DType dtype);
std::optional<DType> dtype_from_protocol_name(std::string_view name);

}  // namespace tessera
