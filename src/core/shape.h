// The dimensions of a tensor.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"

namespace tessera {

// Value without heap memory, owned by one thread. A dimension of -1 stands for "any" where a shape describes a model,
// and never occurs in a shape of data.
class Shape {
 public:
  static constexpr std::size_t kMaxRank = 16;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);  // at most kMaxRank

  // Error: more than kMaxRank dimensions.
  static Result<Shape> from(std::span<const std::int64_t> dims);

  std::size_t rank() const { return rank_; }
  std::int64_t operator[](std::size_t i) const { return dims_[i]; }
  std::int64_t& operator[](std::size_t i) { return dims_[i]; }
  std::span<const std::int64_t> dims() const { return {dims_.data(), rank_}; }
  void push_back(std::int64_t dim);

  // The shape without its first dimension / with `rows` put in front.
  Shape without_first() const;
  Shape with_first(std::int64_t rows) const;

  // Product of the dimensions (1 for a scalar); nothing when a dimension is negative or the product overflows.
  std::optional<std::int64_t> elements() const;

  // Whether data of this shape fits `pattern`, where -1 matches any dimension.
  bool matches(const Shape& pattern) const;

  // "[1,16]": the form of error texts.
  std::string to_string() const;

  friend bool operator==(const Shape& a, const Shape& b);

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  std::uint8_t rank_ = 0;
};

}  // namespace tessera
