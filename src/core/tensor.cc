#include "core/tensor.h"

namespace tessera {

Result<std::size_t> byte_size(DType dtype, const Shape& shape) {
  TESSERA_CHECK(dtype != DType::kBytes);
  const auto elements = shape.elements();
  std::int64_t bytes = 0;
  if (!elements || __builtin_mul_overflow(*elements, static_cast<std::int64_t>(size_of(dtype)), &bytes)) {
    return invalid_argument("shape " + shape.to_string() + " is negative or too large");
  }
  return static_cast<std::size_t>(bytes);
}

Status check_bytes_tensor(std::span<const std::byte> data, std::int64_t elements) {
  std::size_t at = 0;
  for (std::int64_t i = 0; i < elements; ++i) {
    if (data.size() - at < 4) {
      return invalid_argument("BYTES data ends within the length of element " + std::to_string(i) + " of " +
                              std::to_string(elements));
    }
    std::uint32_t length = 0;
    for (int byte = 3; byte >= 0; --byte) {
      length = (length << 8) | std::to_integer<std::uint32_t>(data[at + static_cast<std::size_t>(byte)]);
    }
    at += 4;
    if (data.size() - at < length) {
      return invalid_argument("BYTES element " + std::to_string(i) + " announces " + std::to_string(length) +
                              " bytes, " + std::to_string(data.size() - at) + " are left");
    }
    at += length;
  }
  if (at != data.size()) {
    return invalid_argument("BYTES data has " + std::to_string(data.size() - at) + " bytes after its " +
                            std::to_string(elements) + " elements");
  }
  return ok_status();
}

}  // namespace tessera
