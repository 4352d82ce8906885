#include "device/cuda/pinned_staging.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "device/cuda/free_ranges.h"

namespace tessera::device {
namespace {

constexpr std::size_t kStep = 1024;  // blocks are multiples of it

std::size_t whole_steps(std::size_t size) { return (std::max<std::size_t>(size, 1) + kStep - 1) / kStep * kStep; }

// The range and who has which part of it. Thread-safe.
class Arena {
 public:
  Arena(std::shared_ptr<void> memory, std::size_t size)
      : memory_(std::move(memory)), data_(static_cast<std::byte*>(memory_.get())), size_(size) {
    free_.add(0, size);
  }

  std::size_t size() const { return size_; }
  std::optional<std::size_t> offset_of(std::span<const std::byte> bytes) const {
    const auto begin = reinterpret_cast<std::uintptr_t>(data_);
    const auto at = reinterpret_cast<std::uintptr_t>(bytes.data());
    const bool within = at >= begin && at - begin <= size_ && bytes.size() <= size_ - (at - begin);
    return within ? std::optional(at - begin) : std::nullopt;
  }

  std::byte* take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    const auto offset = free_.take(whole_steps(size));
    return offset ? data_ + *offset : nullptr;
  }
  void give_back(std::byte* block, std::size_t size) {
    const std::lock_guard lock(mutex_);
    free_.add(static_cast<std::size_t>(block - data_), whole_steps(size));
  }

 private:
  const std::shared_ptr<void> memory_;
  std::byte* const data_;
  const std::size_t size_;
  std::mutex mutex_;  // guards free_
  FreeRanges free_;
};

class Block final : public StagingBlock {
 public:
  Block(std::shared_ptr<Arena> arena, std::byte* data, std::size_t size)
      : arena_(std::move(arena)), data_(data), size_(size) {}
  ~Block() override { arena_->give_back(data_, size_); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  std::span<std::byte> bytes() override { return {data_, size_}; }

 private:
  const std::shared_ptr<Arena> arena_;
  std::byte* const data_;
  const std::size_t size_;
};

// Thread-safe.
class Pool final : public PinnedPool {
 public:
  Pool(std::shared_ptr<Arena> arena, std::size_t largest) : arena_(std::move(arena)), largest_(largest) {}

  Result<std::unique_ptr<StagingBlock>> lease(Bytes size) override {
    if (size.value > largest_) {
      return Error(ErrorCode::kTooLarge, "request memory: " + std::to_string(size.value) +
                                             " bytes are over the limit of " + std::to_string(largest_));
    }
    std::byte* const data = arena_->take(size.value);
    if (data == nullptr) {
      return Error(ErrorCode::kResourceExhausted,
                   "request memory: no " + std::to_string(size.value) + " pinned bytes are free");
    }
    return std::unique_ptr<StagingBlock>(std::make_unique<Block>(arena_, data, size.value));
  }
  Bytes size() const override { return {arena_->size()}; }
  std::optional<std::size_t> offset_of(std::span<const std::byte> bytes) const override {
    return arena_->offset_of(bytes);
  }

 private:
  const std::shared_ptr<Arena> arena_;
  const std::size_t largest_;
};

}  // namespace

Result<std::shared_ptr<void>> pin(std::shared_ptr<Gpu> gpu, std::size_t size) {
  const CurrentContext current(*gpu);
  TESSERA_RETURN_IF_ERROR(current.status());
  void* data = nullptr;
  const Driver& driver = gpu->driver();
  TESSERA_RETURN_IF_ERROR(
      driver.check(driver.mem_host_alloc(&data, size, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP),
                   "pin " + std::to_string(size) + " bytes of the host's memory"));
  return std::shared_ptr<void>(
      data, [gpu = std::move(gpu)](void* pinned) { static_cast<void>(gpu->driver().mem_free_host(pinned)); });
}

Result<std::unique_ptr<PinnedPool>> make_pinned_staging(std::shared_ptr<Gpu> gpu, const PinnedLimits& limits) {
  const auto largest = static_cast<std::size_t>(limits.largest.value);
  const std::size_t size = static_cast<std::size_t>(limits.total.value) / largest * largest;
  if (size == 0) {
    return invalid_argument("request memory: all pinned memory is less than one block");
  }
  TESSERA_ASSIGN_OR_RETURN(std::shared_ptr<void> memory, pin(std::move(gpu), size));
  auto arena = std::make_shared<Arena>(std::move(memory), size);
  return std::unique_ptr<PinnedPool>(std::make_unique<Pool>(std::move(arena), largest));
}

}  // namespace tessera::device
