// Where values may lie that are read in place.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera::engine {

inline bool is_aligned(const std::byte* at, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(at) % alignment == 0;
}

}  // namespace tessera::engine
