// Which parts of a range are free: books alone, kept in the host's memory.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace tessera::device {

// The smallest free part that suffices is cut, the lowest among equals, and from its beginning: so what is taken one
// after the other lies side by side. Owned by who serialises access to it.
class FreeRanges {
 public:
  // Joins its neighbours. `size` is not 0.
  void add(std::size_t offset, std::size_t size);
  // The offset of so many bytes. Nothing: no free part is as large.
  std::optional<std::size_t> take(std::size_t size);

  // Where the free part that ends at `end` begins; `end` where none does.
  std::size_t begin_of_last(std::size_t end) const;

 private:
  void remove(std::map<std::size_t, std::size_t>::iterator part);

  std::map<std::size_t, std::size_t> parts_;               // sizes by offset
  std::set<std::pair<std::size_t, std::size_t>> by_size_;  // the same: size, offset
};

}  // namespace tessera::device
