#include "core/shape.h"

#include <algorithm>
#include <utility>

namespace tessera {

Shape::Shape(std::initializer_list<std::int64_t> dims) {
  TESSERA_CHECK(dims.size() <= kMaxRank);
  std::copy(dims.begin(), dims.end(), dims_.begin());
  rank_ = static_cast<std::uint8_t>(dims.size());
}

Result<Shape> Shape::from(std::span<const std::int64_t> dims) {
  if (dims.size() > kMaxRank) {
    return invalid_argument("a tensor has at most " + std::to_string(kMaxRank) + " dimensions, got " +
                            std::to_string(dims.size()));
  }
  Shape shape;
  std::copy(dims.begin(), dims.end(), shape.dims_.begin());
  shape.rank_ = static_cast<std::uint8_t>(dims.size());
  return shape;
}

void Shape::push_back(std::int64_t dim) {
  TESSERA_CHECK(rank_ < kMaxRank);
  dims_[rank_++] = dim;
}

Shape Shape::without_first() const {
  TESSERA_CHECK(rank_ > 0);
  Shape rest;
  std::copy(dims_.begin() + 1, dims_.begin() + rank_, rest.dims_.begin());
  rest.rank_ = static_cast<std::uint8_t>(rank_ - 1);
  return rest;
}

Shape Shape::with_first(std::int64_t rows) const {
  TESSERA_CHECK(rank_ < kMaxRank);
  Shape longer;
  longer.dims_[0] = rows;
  std::copy(dims_.begin(), dims_.begin() + rank_, longer.dims_.begin() + 1);
  longer.rank_ = static_cast<std::uint8_t>(rank_ + 1);
  return longer;
}

std::optional<std::int64_t> Shape::elements() const {
  // A zero makes the product zero whatever the other dimensions are, so overflow is judged without it.
  std::int64_t product = 1;
  bool zero = false;
  for (const std::int64_t dim : dims()) {
    if (dim < 0) {
      return std::nullopt;
    }
    if (dim == 0) {
      zero = true;
    } else if (__builtin_mul_overflow(product, dim, &product)) {
      return std::nullopt;
    }
  }
  return zero ? 0 : product;
}

bool Shape::matches(const Shape& pattern) const {
  return std::equal(dims().begin(), dims().end(), pattern.dims().begin(), pattern.dims().end(),
                    [](std::int64_t dim, std::int64_t wanted) { return wanted == -1 || dim == wanted; });
}

std::string Shape::to_string() const {
  std::string text = "[";
  for (std::size_t i = 0; i < rank_; ++i) {
    if (i > 0) {
      text += ',';
    }
    text += std::to_string(dims_[i]);
  }
  return text + "]";
}

bool operator==(const Shape& a, const Shape& b) {
  return std::equal(a.dims().begin(), a.dims().end(), b.dims().begin(), b.dims().end());
}

}  // namespace tessera
