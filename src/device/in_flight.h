// How many launches are under way on a device, and whether it is lost: one word, so that exactly one thread learns that
// the last of them has ended on a lost device.
#pragma once

#include <atomic>
#include <cstdint>

namespace tessera::device {

// Thread-safe.
class InFlight {
 public:
  // False: the device is lost.
  bool open() {
    std::uint32_t word = word_.load(std::memory_order_acquire);
    while ((word & kLost) == 0) {
      if (word_.compare_exchange_weak(word, word + 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
        return true;
      }
    }
    return false;
  }

  // One has ended and was reported. True: it was the last of a lost device, and the caller has to say so.
  [[nodiscard]] bool close() { return word_.fetch_sub(1, std::memory_order_acq_rel) == (kLost | 1); }

  // To be called once. True: nothing is under way, and the caller has to say so.
  [[nodiscard]] bool lose() { return word_.fetch_or(kLost, std::memory_order_acq_rel) == 0; }

  bool lost() const { return (word_.load(std::memory_order_acquire) & kLost) != 0; }

 private:
  static constexpr std::uint32_t kLost = 1U << 31;
  std::atomic<std::uint32_t> word_{0};
};

}  // namespace tessera::device
