// A sequence that is read while it grows.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "base/check.h"

namespace tessera {

// Readers wait for nobody and see elements that are complete and stay where they are. One thread at a time adds; what
// is destroyed goes last element first.
template <typename T, std::size_t kMost>
class Growing {
 public:
  Growing() = default;
  ~Growing() {
    for (std::size_t i = kMost; i > 0; --i) {
      items_[i - 1].reset();
    }
  }
  Growing(const Growing&) = delete;
  Growing& operator=(const Growing&) = delete;

  static constexpr std::size_t capacity() { return kMost; }
  std::size_t size() const { return size_.load(std::memory_order_acquire); }
  const std::unique_ptr<T>& operator[](std::size_t place) const { return items_[place]; }  // below a size() seen before
  const std::unique_ptr<T>& front() const { return items_.front(); }
  // Of what is there when end() is asked for.
  const std::unique_ptr<T>* begin() const { return items_.data(); }
  const std::unique_ptr<T>* end() const { return items_.data() + size(); }

  // Its place. There has to be room.
  std::size_t push_back(std::unique_ptr<T> item) {
    const std::size_t place = size_.load(std::memory_order_relaxed);
    TESSERA_CHECK(place < kMost);
    items_[place] = std::move(item);
    size_.store(place + 1, std::memory_order_release);
    return place;
  }

 private:
  std::array<std::unique_ptr<T>, kMost> items_;
  std::atomic<std::size_t> size_{0};
};

}  // namespace tessera
