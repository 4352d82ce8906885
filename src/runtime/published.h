// A value that many threads read without waiting while one replaces it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>

namespace tessera::runtime {

// Readers announce themselves in one of two counters and take the pointer; replace() swaps the pointer, then waits
// until each counter was seen at zero once, when nobody can hold the old value any more. Which counter new readers use
// alternates, so that a steady stream of them cannot keep the writer waiting. A writer that is suspended in the middle
// delays no reader, which is why this is no reader-writer lock.
// Thread-safe; one replace() at a time.
template <typename T>
class Published {
 public:
  explicit Published(std::unique_ptr<const T> first) : value_(first.release()) {}
  ~Published() { std::unique_ptr<const T>(value_.load()); }
  Published(const Published&) = delete;
  Published& operator=(const Published&) = delete;

  // Keeps the value while it lives; to be held for microseconds. Owned by the thread that reads.
  class Reading {
   public:
    ~Reading() { counter_.fetch_sub(1, std::memory_order_release); }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;
    const T& operator*() const { return *value_; }
    const T* operator->() const { return value_; }

   private:
    friend class Published;
    explicit Reading(const Published& owner) : counter_(owner.readers_[owner.side_.load(std::memory_order_relaxed)]) {
      counter_.fetch_add(1, std::memory_order_seq_cst);
      value_ = owner.value_.load(std::memory_order_seq_cst);
    }
    std::atomic<std::uint32_t>& counter_;
    const T* value_;
  };

  Reading read() const { return Reading(*this); }

  void replace(std::unique_ptr<const T> next) {
    const std::unique_ptr<const T> old(value_.exchange(next.release(), std::memory_order_seq_cst));
    for (int turn = 0; turn < 2; ++turn) {
      const std::uint32_t left = side_.load(std::memory_order_relaxed);
      side_.store(1 - left, std::memory_order_relaxed);
      while (readers_[left].load(std::memory_order_seq_cst) != 0) {
        std::this_thread::sleep_for(std::chrono::microseconds(20));
      }
    }
  }

 private:
  std::atomic<const T*> value_;
  std::atomic<std::uint32_t> side_{0};
  mutable std::atomic<std::uint32_t> readers_[2]{};
};

}  // namespace tessera::runtime
