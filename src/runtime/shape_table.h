// Which requests of an instance may share a batch: row shapes as small numbers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/ids.h"
#include "core/shape.h"

namespace tessera::runtime {

// Gives equal row shapes the same ShapeId. Holds at most kMaxShapes of them for the life of an instance: what a peer
// sends cannot make it grow. When it is full, every request of a further shape gets an id of its own and is therefore
// run alone, never refused. Lock-free; thread-safe.
class ShapeTable {
 public:
  static constexpr std::size_t kMaxShapes = 256;

  ShapeTable() = default;
  ~ShapeTable();
  ShapeTable(const ShapeTable&) = delete;
  ShapeTable& operator=(const ShapeTable&) = delete;

  // `dims`: the rows of all inputs, one after the other, as put_row() writes them.
  ShapeId intern(std::span<const std::int64_t> dims);

  // Writes how `shape`, whose first dimension is the batch, counts: its rank, then the row's dimensions; as many
  // numbers as it has dimensions. Returns the place behind, in `dims`, which has room for them.
  static std::size_t put_row(const Shape& shape, std::span<std::int64_t> dims, std::size_t at) {
    dims[at++] = static_cast<std::int64_t>(shape.rank());
    for (std::size_t dim = 1; dim < shape.rank(); ++dim) {
      dims[at++] = shape[dim];
    }
    return at;
  }

 private:
  static constexpr std::size_t kPlaces = 2 * kMaxShapes;  // power of two; half empty, so that probes stay short
  static constexpr std::uint32_t kFirstAlone = 1U << 31;

  struct Entry;
  std::atomic<Entry*> places_[kPlaces]{};
  std::atomic<std::uint32_t> used_{0};
  std::atomic<std::uint32_t> alone_{0};
};

}  // namespace tessera::runtime
