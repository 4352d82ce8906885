// Memory of a card that grows while the card serves: addresses reserved once, memory mapped in as more is needed, so
// that nothing ever moves and nobody waits. cuMemAlloc and cuMemFree have no place here: the latter waits for every
// kernel.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "device/cuda/free_ranges.h"
#include "device/cuda/gpu.h"

namespace tessera::device {

// How much memory a model may take on a gpu; shared by the regions of its weights and lanes. Thread-safe.
class MemoryBudget {
 public:
  // Nothing: what the card has.
  explicit MemoryBudget(std::optional<Bytes> limit) : limit_(limit) {}

  // Error: kResourceExhausted, naming the limit, what is taken and what is asked for; then nothing is taken.
  Status take(Bytes bytes);
  void give_back(Bytes bytes);
  Bytes taken() const;

 private:
  const std::optional<Bytes> limit_;
  mutable std::mutex mutex_;
  Bytes taken_{};
};

// A range of addresses of one gpu, of which a growing part has memory. Owned by one thread at a time.
class DeviceRegion {
 public:
  // `addresses` cost nothing and bound what it may grow to. Error: that of the driver.
  static Result<std::unique_ptr<DeviceRegion>> reserve(std::shared_ptr<Gpu> gpu, Bytes addresses,
                                                       std::shared_ptr<MemoryBudget> budget);
  // Gives the memory back, which nothing on the card may use any more.
  ~DeviceRegion();
  DeviceRegion(const DeviceRegion&) = delete;
  DeviceRegion& operator=(const DeviceRegion&) = delete;

  CUdeviceptr base() const { return base_; }
  Bytes mapped() const { return mapped_; }
  Bytes reserved() const { return reserved_; }

  // From base() on, at least `to` bytes can be used; what is there stays as it is. What is new holds anything.
  // Error: kResourceExhausted, in the budget's words, or where the addresses do not suffice; kOutOfMemory where the
  // card does not; else the driver's. Then the region is as before.
  Status grow(Bytes to);

  // The processors and copy engines of `reader` may use what is mapped so far, for good. Thread-safe, also against its
  // owner. Error: kUnsupported where the cards have no way to each other's memory; else the driver's.
  Status open_to(const Gpu& reader) const;

 private:
  DeviceRegion(std::shared_ptr<Gpu> gpu, std::shared_ptr<MemoryBudget> budget)
      : gpu_(std::move(gpu)), budget_(std::move(budget)) {}
  Status map(std::size_t size);
  Error no_memory(std::size_t size) const;

  const std::shared_ptr<Gpu> gpu_;
  const std::shared_ptr<MemoryBudget> budget_;
  std::size_t granularity_ = 0;
  CUdeviceptr base_ = 0;
  Bytes reserved_{};
  Bytes mapped_{};
  mutable std::mutex pieces_mutex_;
  std::vector<std::size_t> pieces_;  // sizes, in the order of their addresses
};

// Blocks in a region: the smallest free one that suffices is used, and neighbours that are free join. What it knows of
// them lies in the host's memory. Owned by one thread at a time; the region, which it grows, outlives it.
class RegionHeap {
 public:
  // As cuMemAlloc aligns, which libraries rely on.
  static constexpr std::size_t kAlignment = 256;

  explicit RegionHeap(DeviceRegion& region) : region_(region) {}

  // Error: that of DeviceRegion::grow.
  Result<CUdeviceptr> allocate(std::size_t size);
  void release(CUdeviceptr at);  // what allocate() gave

  Bytes in_use() const { return {in_use_}; }
  Bytes peak() const { return {peak_}; }  // the most that was in use at once

 private:
  void take_in();  // what of the region is new

  DeviceRegion& region_;
  std::size_t known_ = 0;  // of the region
  FreeRanges free_;
  std::unordered_map<std::size_t, std::size_t> used_;  // sizes by offset
  std::size_t in_use_ = 0;
  std::size_t peak_ = 0;
};

}  // namespace tessera::device
