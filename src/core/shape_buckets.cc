#include "core/shape_buckets.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace tessera {
namespace {

template <typename T>
void fill_as(T value, std::span<std::byte> to) {
  for (std::size_t at = 0; at + sizeof(T) <= to.size(); at += sizeof(T)) {
    std::memcpy(to.data() + at, &value, sizeof(T));
  }
}

// To the nearest, ties to even (IEEE 754 binary16).
std::uint16_t fp16_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const float size = std::abs(value);
  if (std::isnan(value)) {
    return static_cast<std::uint16_t>(sign | 0x7E00U);
  }
  if (size >= 65520.0F) {
    return static_cast<std::uint16_t>(sign | 0x7C00U);
  }
  if (size == 0.0F) {
    return sign;
  }
  int exponent = 0;
  std::frexp(size, &exponent);
  const int step = std::max(exponent - 11, -24);  // of the last bit
  const auto units = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(size, -step)));
  // The units count on over the end of an exponent's range into the next one's.
  return static_cast<std::uint16_t>(sign + (static_cast<std::uint32_t>(step + 24) << 10) + units);
}

std::uint16_t bf16_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

struct Strided {
  std::span<const std::int64_t> from;
  std::span<const std::int64_t> to;
  std::size_t element = 0;

  static std::size_t row_bytes(std::span<const std::int64_t> dims, std::size_t first, std::size_t element) {
    std::size_t bytes = element;
    for (std::size_t i = first; i < dims.size(); ++i) {
      bytes *= static_cast<std::size_t>(dims[i]);
    }
    return bytes;
  }

  void copy(const std::byte* source, std::byte* target, std::size_t dim) const {
    // What is alike from here on lies in one piece in both.
    if (std::equal(from.begin() + static_cast<std::ptrdiff_t>(std::min(dim + 1, from.size())), from.end(),
                   to.begin() + static_cast<std::ptrdiff_t>(std::min(dim + 1, to.size())))) {
      const auto rows = dim < from.size() ? static_cast<std::size_t>(std::min(from[dim], to[dim])) : 1;
      const std::size_t bytes = rows * row_bytes(from, dim + 1, element);
      if (bytes > 0) {
        std::memcpy(target, source, bytes);
      }
      return;
    }
    const std::size_t from_step = row_bytes(from, dim + 1, element);
    const std::size_t to_step = row_bytes(to, dim + 1, element);
    for (std::int64_t i = 0; i < std::min(from[dim], to[dim]); ++i) {
      copy(source + static_cast<std::size_t>(i) * from_step, target + static_cast<std::size_t>(i) * to_step, dim + 1);
    }
  }
};

}  // namespace

std::optional<std::int64_t> ShapeBuckets::size_for(std::size_t axis, std::int64_t size) const {
  const auto& sizes = axes[axis].sizes;
  const auto found = std::lower_bound(sizes.begin(), sizes.end(), size);
  return found == sizes.end() ? std::nullopt : std::optional(*found);
}

std::vector<std::vector<std::int64_t>> ShapeBuckets::combinations() const {
  std::vector<std::vector<std::int64_t>> all{{}};
  for (const Axis& axis : axes) {
    std::vector<std::vector<std::int64_t>> longer;
    for (const auto& sizes : all) {
      for (auto size = axis.sizes.rbegin(); size != axis.sizes.rend(); ++size) {
        longer.push_back(sizes);
        longer.back().push_back(*size);
      }
    }
    all = std::move(longer);
  }
  return all;
}

Shape with_sizes(Shape shape, std::span<const ShapeBuckets::Place> places, std::size_t tensor,
                 std::span<const std::int64_t> sizes, std::size_t skip) {
  for (const ShapeBuckets::Place& place : places) {
    if (place.tensor == tensor) {
      shape[place.dim + skip] = sizes[place.axis];
    }
  }
  return shape;
}

void fill_with(DType dtype, double value, std::span<std::byte> to) {
  switch (dtype) {
    case DType::kFp16:
      return fill_as(fp16_of(static_cast<float>(value)), to);
    case DType::kBf16:
      return fill_as(bf16_of(static_cast<float>(value)), to);
    case DType::kFp32:
      return fill_as(static_cast<float>(value), to);
    case DType::kFp64:
      return fill_as(value, to);
    case DType::kInt64:
      return fill_as(static_cast<std::int64_t>(value), to);
    case DType::kUint64:
      return fill_as(static_cast<std::uint64_t>(value), to);
    case DType::kInt32:
      return fill_as(static_cast<std::int32_t>(value), to);
    case DType::kUint32:
      return fill_as(static_cast<std::uint32_t>(value), to);
    case DType::kInt16:
      return fill_as(static_cast<std::int16_t>(value), to);
    case DType::kUint16:
      return fill_as(static_cast<std::uint16_t>(value), to);
    case DType::kInt8:
      return fill_as(static_cast<std::int8_t>(value), to);
    default:
      return fill_as(static_cast<std::uint8_t>(value), to);
  }
}

void copy_common(const TensorView& from, const Shape& shape, std::span<std::byte> to) {
  const Strided both{from.shape.dims(), shape.dims(), size_of(from.dtype)};
  if (from.shape.elements().value_or(0) > 0 && shape.elements().value_or(0) > 0) {
    both.copy(from.data.data(), to.data(), 0);
  }
}

}  // namespace tessera
