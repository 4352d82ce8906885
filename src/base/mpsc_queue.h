// A bounded queue that many threads push into and one takes from, without locks.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"

namespace tessera {

// Thread-safe for any number of pushers and one popper at a time (the popper may change where that is ordered, as a
// role is). After D. Vyukov's bounded queue: each cell carries the turn in which it may be written or read next. Values
// of one pusher come out in the order they went in. A pusher that is suspended between claiming a cell and filling it
// holds back what others pushed after it, not the pushers themselves.
//
// Who hands over the popper's part ("push, then look whether somebody pops" against "stop popping, then look whether
// the queue is empty") needs std::atomic_thread_fence(seq_cst) between the two steps on both sides.
template <typename T>
class MpscQueue {
 public:
  explicit MpscQueue(std::size_t capacity) : cells_(capacity), mask_(capacity - 1) {
    // With a single cell "written in this turn" and "free in the next" would be the same number.
    TESSERA_CHECK(capacity >= 2 && std::has_single_bit(capacity));
    for (std::size_t i = 0; i < capacity; ++i) {
      cells_[i].turn.store(i, std::memory_order_relaxed);
    }
  }

  std::size_t capacity() const { return cells_.size(); }

  // False: full, `value` is untouched.
  [[nodiscard]] bool try_push(T&& value) {
    std::size_t at = tail_.load(std::memory_order_relaxed);
    for (;;) {
      Cell& cell = cells_[at & mask_];
      const std::size_t turn = cell.turn.load(std::memory_order_acquire);
      if (turn == at) {
        if (tail_.compare_exchange_weak(at, at + 1, std::memory_order_relaxed)) {
          cell.value.emplace(std::move(value));
          cell.turn.store(at + 1, std::memory_order_release);
          return true;
        }
      } else if (static_cast<std::ptrdiff_t>(turn - at) < 0) {
        return false;
      } else {
        at = tail_.load(std::memory_order_relaxed);
      }
    }
  }
  [[nodiscard]] bool try_push(const T& value) {
    T copy(value);
    return try_push(std::move(copy));
  }

  // The popper alone. Nothing: empty, or the oldest value is still being written.
  std::optional<T> try_pop() {
    const std::size_t at = head_.load(std::memory_order_relaxed);
    Cell& cell = cells_[at & mask_];
    if (cell.turn.load(std::memory_order_acquire) != at + 1) {
      return std::nullopt;
    }
    std::optional<T> value(std::move(cell.value));
    cell.value.reset();
    cell.turn.store(at + cells_.size(), std::memory_order_release);
    head_.store(at + 1, std::memory_order_relaxed);
    return value;
  }

  // Whether try_pop would give nothing; any thread, true or false only for the moment.
  bool empty() const {
    const std::size_t at = head_.load(std::memory_order_relaxed);
    return cells_[at & mask_].turn.load(std::memory_order_acquire) != at + 1;
  }

 private:
  static constexpr std::size_t kCacheLine = 64;

  struct Cell {
    std::atomic<std::size_t> turn{0};
    std::optional<T> value;
  };

  std::vector<Cell> cells_;
  const std::size_t mask_;
  alignas(kCacheLine) std::atomic<std::size_t> tail_{0};
  alignas(kCacheLine) std::atomic<std::size_t> head_{0};
};

}  // namespace tessera
