// Which parts of a range are leased: a buddy allocator over offsets, without memory of its own in the range.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

namespace tessera::device {

// Blocks are powers of two from `smallest` to `largest`, at multiples of their size; a free one joins its neighbour
// again. Owned by who serialises access to it.
class Buddy {
 public:
  // `largest` and `smallest` are powers of two; `size` is a multiple of `largest`.
  Buddy(std::size_t size, std::size_t smallest, std::size_t largest);

  // The offset of a block of at least `size` bytes. Nothing: too large, or no free block of that size is left.
  std::optional<std::size_t> take(std::size_t size);
  // What take(size) gave, with the same size.
  void give_back(std::size_t offset, std::size_t size);

 private:
  std::size_t order_of(std::size_t size) const;

  std::size_t smallest_;
  std::size_t largest_;
  std::vector<std::set<std::size_t>> free_;  // offsets, by order: smallest << order; the lowest is taken first
};

}  // namespace tessera::device
