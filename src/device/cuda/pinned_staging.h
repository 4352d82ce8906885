// Memory for request bodies that a GPU's copy engines read: pinned, and taken whole at the start.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "base/ids.h"
#include "base/result.h"
#include "device/cuda/gpu.h"
#include "device/staging.h"

namespace tessera::device {

struct PinnedLimits {
  Bytes total{256ULL << 20};   // of all blocks; taken at once, since pinning memory stalls every launch on the card
  Bytes largest{64ULL << 20};  // one block; a multiple of 1 KB
};

// A pool that knows its own memory. Thread-safe.
class PinnedPool : public StagingPool {
 public:
  virtual Bytes size() const = 0;
  // From the beginning of its range; nothing unless all of the bytes lie in it, so that the card's engines and kernels
  // may read them where they are.
  virtual std::optional<std::size_t> offset_of(std::span<const std::byte> bytes) const = 0;
};

// Memory of the host that the card uses at the same address; stalls every launch on it while it is made.
Result<std::shared_ptr<void>> pin(std::shared_ptr<Gpu> gpu, std::size_t size);

// Thread-safe: one lock, held for tens of nanoseconds. Blocks are pieces of one range, multiples of 1 KB, side by side
// where they are leased one after the other, so that copies can take several at once; every GPU of the process can copy
// from them. Leased blocks may outlive the pool, not the driver. Error: kOutOfMemory where the host has no such
// memory to pin.
Result<std::unique_ptr<PinnedPool>> make_pinned_staging(std::shared_ptr<Gpu> gpu, const PinnedLimits& limits);

}  // namespace tessera::device
