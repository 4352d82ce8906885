#include "engine/onnxruntime/string_tensors.h"

#include <cstring>
#include <limits>
#include <string>

namespace tessera::engine {
namespace {

constexpr std::size_t kPrefix = 4;

std::uint32_t read_length(const std::byte* at) {
  std::uint32_t length = 0;
  for (std::size_t i = 0; i < kPrefix; ++i) {
    length |= std::to_integer<std::uint32_t>(at[i]) << (8 * i);
  }
  return length;
}

void write_length(std::byte* at, std::uint32_t length) {
  for (std::size_t i = 0; i < kPrefix; ++i) {
    at[i] = static_cast<std::byte>(length >> (8 * i));
  }
}

Error bad_strings(std::int64_t elements) {
  return invalid_argument("BYTES data does not hold exactly " + std::to_string(elements) + " length-prefixed elements");
}

}  // namespace

Result<Ort::Value> decode_strings(std::span<const std::span<const std::byte>> parts, std::span<const std::int64_t> dims,
                                  std::int64_t elements) {
  const OrtApi& api = Ort::GetApi();
  const Ort::AllocatorWithDefaultOptions allocator;
  OrtValue* raw = nullptr;
  TESSERA_RETURN_IF_ERROR(to_status(
      api.CreateTensorAsOrtValue(allocator, dims.data(), dims.size(), ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, &raw),
      Blame::kRequest));
  Ort::Value value(raw);
  std::int64_t index = 0;
  for (std::span<const std::byte> rest : parts) {
    for (; !rest.empty(); ++index) {
      if (rest.size() < kPrefix || index == elements) {
        return bad_strings(elements);
      }
      const std::size_t length = read_length(rest.data());
      rest = rest.subspan(kPrefix);
      if (length > rest.size()) {
        return bad_strings(elements);
      }
      char* text = nullptr;
      TESSERA_RETURN_IF_ERROR(
          to_status(api.GetResizedStringTensorElementBuffer(value, static_cast<std::size_t>(index), length, &text),
                    Blame::kRequest));
      if (length > 0) {
        std::memcpy(text, rest.data(), length);
      }
      rest = rest.subspan(length);
    }
  }
  if (index != elements) {
    return bad_strings(elements);
  }
  return value;
}

Result<std::vector<std::byte>> encode_strings(const Ort::Value& tensor, std::int64_t elements) {
  const auto count = static_cast<std::size_t>(elements);
  if (count == 0) {
    return std::vector<std::byte>();
  }
  const OrtApi& api = Ort::GetApi();
  std::size_t total = 0;
  TESSERA_RETURN_IF_ERROR(to_status(api.GetStringTensorDataLength(tensor, &total), Blame::kUs));
  // The texts are fetched to where the last of them ends up, then moved forward one by one to make room for lengths.
  std::vector<std::byte> out(total + count * kPrefix);
  std::byte* const texts = out.data() + count * kPrefix;
  std::vector<std::size_t> starts(count);
  TESSERA_RETURN_IF_ERROR(
      to_status(api.GetStringTensorContent(tensor, texts, total, starts.data(), count), Blame::kUs));
  std::byte* at = out.data();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t length = (i + 1 < count ? starts[i + 1] : total) - starts[i];
    if (length > std::numeric_limits<std::uint32_t>::max()) {
      return Error(ErrorCode::kTooLarge, "an element of a BYTES output has 4 GB or more");
    }
    write_length(at, static_cast<std::uint32_t>(length));
    at += kPrefix;
    std::memmove(at, texts + starts[i], length);
    at += length;
  }
  return out;
}

}  // namespace tessera::engine
