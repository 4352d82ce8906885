// What a CUDA device tells of its launches to who asks, by the card's clock and the host's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "core/slice.h"
#include "device/cuda/gpu.h"
#include "device/cuda/plan_moves.h"

namespace tessera::device {

// What was seen of one launch that went to the card. Value.
struct ObservedLaunch {
  std::uint64_t number = 0;  // of the device's launches, rising by one
  LaunchId id{};
  InstanceId instance{};
  LaneIndex lane{};
  Slice slice{};
  CardTimes card{};    // zeros where its plan has no frame, or it failed
  TimePoint queued{};  // when it was about to be queued to the card
  TimePoint seen{};    // its end, by the polling thread
  TimePoint told{};    // when the dispatcher took the completion
};

using LaunchObserver = std::function<void(const ObservedLaunch&)>;

// Memory in which the card notes when launches ran, by their place. Owned by the holder of the dispatcher role; the
// card writes between clear() and read().
class LaunchTimes {
 public:
  // Pins memory, which stalls every launch on the card. Error: that of the driver.
  static Result<std::unique_ptr<LaunchTimes>> make(const std::shared_ptr<Gpu>& gpu, std::size_t places);

  // Returns the place's address, for LaunchQueue::times.
  std::uint64_t clear(std::size_t place);
  // Of a launch that has ended. Waits for a moment, since the end's word comes first; zeros where nothing comes.
  CardTimes read(std::size_t place) const;

 private:
  explicit LaunchTimes(std::shared_ptr<void> memory) : memory_(std::move(memory)) {}
  CardTimes& at(std::size_t place) const { return static_cast<CardTimes*>(memory_.get())[place]; }

  const std::shared_ptr<void> memory_;
};

}  // namespace tessera::device
