// A bounded set of reusable objects with addresses that never change and numbers that find them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/check.h"

namespace tessera::runtime {

// What every object in a SlotPool derives from.
struct PoolSlot {
  std::uint32_t index = 0;                  // set once by the pool
  std::atomic<std::uint32_t> next_free{0};  // owned by the pool
};

// Grows in chunks up to its limit and never shrinks: a server's memory is that of its busiest moment. Lock-free: a
// free list with a tag against reuse between load and swap. Thread-safe.
template <typename T>
class SlotPool {
 public:
  static constexpr std::size_t kChunk = 64;

  explicit SlotPool(std::size_t limit)
      : chunk_count_((limit + kChunk - 1) / kChunk), chunks_(new std::atomic<T*>[chunk_count_]()) {}
  ~SlotPool() {
    for (std::size_t i = 0; i < chunk_count_; ++i) {
      std::unique_ptr<T[]>(chunks_[i].load());
    }
  }
  SlotPool(const SlotPool&) = delete;
  SlotPool& operator=(const SlotPool&) = delete;

  // nullptr: all are taken.
  T* take() {
    std::uint64_t top = free_.load(std::memory_order_acquire);
    while (number_of(top) != 0) {
      T* slot = at(number_of(top) - 1);
      const std::uint64_t next = tagged(top, slot->next_free.load(std::memory_order_relaxed));
      if (free_.compare_exchange_weak(top, next, std::memory_order_acq_rel, std::memory_order_acquire)) {
        return slot;
      }
    }
    return grow();
  }

  void give(T& slot) {
    std::uint64_t top = free_.load(std::memory_order_relaxed);
    std::uint64_t next = 0;
    do {
      slot.next_free.store(number_of(top), std::memory_order_relaxed);
      next = tagged(top, slot.index + 1);
    } while (!free_.compare_exchange_weak(top, next, std::memory_order_acq_rel, std::memory_order_relaxed));
  }

  // The object with that number; nullptr where none exists yet.
  T* at(std::size_t index) const {
    if (index / kChunk >= chunk_count_) {
      return nullptr;
    }
    T* chunk = chunks_[index / kChunk].load(std::memory_order_acquire);
    return chunk == nullptr ? nullptr : chunk + index % kChunk;
  }

  // One past the highest number an object may have.
  std::size_t end() const { return chunk_count_ * kChunk; }

 private:
  // The list's top: the number plus one in the low half (0: empty list), a count of changes in the high half.
  static std::uint32_t number_of(std::uint64_t top) { return static_cast<std::uint32_t>(top); }
  static std::uint64_t tagged(std::uint64_t top, std::uint32_t number) { return (((top >> 32) + 1) << 32) | number; }

  T* grow() {
    const std::size_t chunk = grown_.fetch_add(1, std::memory_order_relaxed);
    if (chunk >= chunk_count_) {
      grown_.fetch_sub(1, std::memory_order_relaxed);
      return nullptr;
    }
    auto slots = std::make_unique<T[]>(kChunk);
    for (std::size_t i = 0; i < kChunk; ++i) {
      slots[i].index = static_cast<std::uint32_t>(chunk * kChunk + i);
    }
    T* first = slots.release();
    chunks_[chunk].store(first, std::memory_order_release);
    for (std::size_t i = 1; i < kChunk; ++i) {
      give(first[i]);
    }
    return first;
  }

  const std::size_t chunk_count_;
  std::unique_ptr<std::atomic<T*>[]> chunks_;
  std::atomic<std::size_t> grown_{0};
  std::atomic<std::uint64_t> free_{0};
};

}  // namespace tessera::runtime
