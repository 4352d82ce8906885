#include "server/classification.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <numeric>

#include "server/half.h"

namespace tessera::server {
namespace {

constexpr std::size_t kMaxValueText = 384;  // "%f" of the largest double has 316 characters

void append_bytes_element(std::string_view text, std::vector<std::byte>& out) {
  const auto length = static_cast<std::uint32_t>(text.size());
  for (int shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<std::byte>(length >> shift));
  }
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  out.insert(out.end(), bytes, bytes + text.size());
}

template <typename T>
void append_value(T value, std::string& out) {
  char text[kMaxValueText];
  std::to_chars_result end{};
  if constexpr (std::is_floating_point_v<T>) {
    end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, 6);
  } else {
    end = std::to_chars(text, text + sizeof text, value);
  }
  out.append(text, end.ptr);
}

// Larger values first; NaN behind all numbers, so that the order is a strict weak one.
template <typename T>
bool ranks_before(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::isnan(b) ? !std::isnan(a) : a > b;
  } else {
    return a > b;
  }
}

// Values of the tensor as T, read by `load(pointer to the element)`.
template <typename T, typename Load>
void classify_rows(const TensorView& values, std::size_t element_size, std::size_t rows, std::size_t n, std::size_t k,
                   const std::vector<std::string>& labels, Load load, std::vector<std::byte>& out) {
  std::vector<T> row(n);
  std::vector<std::size_t> order(n);
  std::string text;
  for (std::size_t r = 0; r < rows; ++r) {
    const std::byte* at = values.data.data() + r * n * element_size;
    for (std::size_t i = 0; i < n; ++i) {
      row[i] = load(at + i * element_size);
    }
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k), order.end(),
                      [&row](std::size_t a, std::size_t b) {
                        return ranks_before(row[a], row[b]) || (!ranks_before(row[b], row[a]) && a < b);
                      });
    for (std::size_t i = 0; i < k; ++i) {
      text.clear();
      append_value(row[order[i]], text);
      text.append(":").append(std::to_string(order[i]));
      if (order[i] < labels.size() && !labels[order[i]].empty()) {
        text.append(":").append(labels[order[i]]);
      }
      append_bytes_element(text, out);
    }
  }
}

template <typename T>
T load_as(const std::byte* at) {
  T value{};
  std::memcpy(&value, at, sizeof value);
  return value;
}

float load_fp16(const std::byte* at) { return float_from_fp16(load_as<std::uint16_t>(at)); }
float load_bf16(const std::byte* at) { return float_from_bf16(load_as<std::uint16_t>(at)); }

// Calls take(T{}, load) with what an element of the type is compared as, and how it is read.
template <typename Take>
void for_type(DType dtype, Take take) {
  switch (dtype) {
    case DType::kBool:
    case DType::kUint8:
      return take(std::uint8_t{}, load_as<std::uint8_t>);
    case DType::kUint16:
      return take(std::uint16_t{}, load_as<std::uint16_t>);
    case DType::kUint32:
      return take(std::uint32_t{}, load_as<std::uint32_t>);
    case DType::kUint64:
      return take(std::uint64_t{}, load_as<std::uint64_t>);
    case DType::kInt8:
      return take(std::int8_t{}, load_as<std::int8_t>);
    case DType::kInt16:
      return take(std::int16_t{}, load_as<std::int16_t>);
    case DType::kInt32:
      return take(std::int32_t{}, load_as<std::int32_t>);
    case DType::kInt64:
      return take(std::int64_t{}, load_as<std::int64_t>);
    case DType::kFp16:
      return take(float{}, load_fp16);
    case DType::kBf16:
      return take(float{}, load_bf16);
    case DType::kFp32:
      return take(float{}, load_as<float>);
    case DType::kFp64:
      return take(double{}, load_as<double>);
    case DType::kBytes:
      return;
  }
}

}  // namespace

Result<BytesTensor> classify(const TensorView& values, bool batched, std::uint32_t k,
                             const std::vector<std::string>& labels) {
  if (values.dtype == DType::kBytes) {
    return invalid_argument("classification needs numbers; this output has datatype BYTES");
  }
  const auto elements = values.shape.elements();
  TESSERA_CHECK(elements && static_cast<std::size_t>(*elements) * size_of(values.dtype) == values.data.size());
  const bool has_rows = batched && values.shape.rank() > 0;
  const auto rows = has_rows ? static_cast<std::size_t>(values.shape[0]) : std::size_t{1};
  const std::size_t n = rows == 0 ? 0 : static_cast<std::size_t>(*elements) / rows;
  const std::size_t top = std::min<std::size_t>(k, n);

  BytesTensor result;
  if (has_rows) {
    result.shape.push_back(static_cast<std::int64_t>(rows));
  }
  result.shape.push_back(static_cast<std::int64_t>(top));
  for_type(values.dtype, [&]<typename T>(T, auto load) {
    classify_rows<T>(values, size_of(values.dtype), rows, n, top, labels, load, result.data);
  });
  return result;
}

}  // namespace tessera::server
