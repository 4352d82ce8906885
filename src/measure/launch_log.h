// Notes every launch of a device: when it was queued, ran, was seen to end and was told.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/result.h"
#include "device/cuda/card_clock.h"
#include "device/cuda/cuda_device.h"
#include "device/device.h"

namespace tessera::measure {

// Of a CUDA device by the card's clock, of any other by the host's, which then stands for it. Nothing runs on the
// device while one is made, read or destroyed. Owned by one thread; note() comes from the device's dispatcher.
class LaunchLog {
 public:
  static Result<std::unique_ptr<LaunchLog>> make(device::Device& device);
  ~LaunchLog();
  LaunchLog(const LaunchLog&) = delete;
  LaunchLog& operator=(const LaunchLog&) = delete;

  // What a service owns in place of the device.
  std::unique_ptr<device::Device> borrow();

  void forget();
  std::size_t count() const { return count_.load(std::memory_order_relaxed); }  // any time
  const std::vector<device::ObservedLaunch>& launches() const { return launches_; }

  // Compares the clocks; to be called now and then while something is noted. Error: the device's.
  Status read_clock();
  // After at least one read_clock(). The card's clock on the host's axis; of other devices the same.
  device::ClockMap clock() const;
  bool has_card() const { return card_ != nullptr; }

 private:
  class Watched;
  explicit LaunchLog(device::Device& device) : device_(device) {}
  void note(const device::ObservedLaunch& launch) {
    launches_.push_back(launch);
    count_.fetch_add(1, std::memory_order_relaxed);
  }

  device::Device& device_;
  device::CudaDevice* card_ = nullptr;
  std::unique_ptr<device::CardClock> clock_;
  std::vector<device::ObservedLaunch> launches_;
  std::atomic<std::size_t> count_{0};
};

}  // namespace tessera::measure
