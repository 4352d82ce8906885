#pragma once

#include <atomic>
#include <cstdint>

#include "base/ids.h"

namespace tessera::engine {

// Counts tensor bytes copied between user-space places. Thread-safe.
class CopyCounter {
 public:
  void add(std::uint64_t bytes) { bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  Bytes total() const { return {bytes_.load(std::memory_order_relaxed)}; }

 private:
  std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace tessera::engine
