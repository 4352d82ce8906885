// Memory that request bodies are read into and the device reads from.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/ids.h"
#include "base/result.h"

namespace tessera::device {

// Bytes leased from a pool; gives them back when destroyed. Owned by one thread at a time.
class StagingBlock {
 public:
  virtual ~StagingBlock() = default;
  virtual std::span<std::byte> bytes() = 0;  // the whole range, aligned to 64; pages are touched by who writes
};

// Thread-safe. A host device's pool hands out reserved, unpinned address ranges whose pages come as they are touched
// and recycles a bounded number of them; a GPU's hands out pinned blocks.
class StagingPool {
 public:
  virtual ~StagingPool() = default;
  // Error: kTooLarge over the pool's largest block, kResourceExhausted when the pool has no range left.
  virtual Result<std::unique_ptr<StagingBlock>> lease(Bytes size) = 0;
};

}  // namespace tessera::device
