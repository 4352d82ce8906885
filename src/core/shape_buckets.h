// Sizes declared for dimensions that a model leaves to its requests: a request is padded to the next size, and its
// answer is cut back to what it brought. So requests of unlike shapes are joined, and a device has few shapes to
// prepare for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace tessera {

// Immutable once read; an empty one asks for nothing.
struct ShapeBuckets {
  // A length that all its places share, such as that of a sequence.
  struct Axis {
    std::string name;
    std::vector<std::int64_t> sizes;  // ascending, positive
  };
  // Where one stands: a dimension of a row (of the whole shape, where the model does not batch).
  struct Place {
    std::size_t tensor = 0;  // by the signature's order
    std::size_t dim = 0;
    std::size_t axis = 0;
  };

  std::vector<Axis> axes;
  std::vector<Place> inputs;
  std::vector<Place> outputs;
  std::vector<double> padding;  // by input: what stands in its places that the request leaves

  bool empty() const { return axes.empty(); }

  // The smallest that holds `size`; nothing where none does.
  std::optional<std::int64_t> size_for(std::size_t axis, std::int64_t size) const;
  // Every shape that there is, as sizes by axis: the largest one first.
  std::vector<std::vector<std::int64_t>> combinations() const;
};

// `shape` of that tensor with the sizes of its places; `skip`: dimensions before the row's.
Shape with_sizes(Shape shape, std::span<const ShapeBuckets::Place> places, std::size_t tensor,
                 std::span<const std::int64_t> sizes, std::size_t skip);

// Fills `to` with `value`, as the type holds it. No type of variable size.
void fill_with(DType dtype, double value, std::span<std::byte> to);

// Copies the elements that both shapes have, each to its own place. Both are of one rank and type of fixed size.
void copy_common(const TensorView& from, const Shape& shape, std::span<std::byte> to);

}  // namespace tessera
