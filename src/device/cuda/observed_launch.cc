#include "device/cuda/observed_launch.h"

#include <atomic>
#include <chrono>

#include "base/clock.h"
#include "base/pause.h"
#include "device/cuda/pinned_staging.h"

namespace tessera::device {
namespace {

constexpr std::chrono::microseconds kTimesPatience{50};

}  // namespace

Result<std::unique_ptr<LaunchTimes>> LaunchTimes::make(const std::shared_ptr<Gpu>& gpu, std::size_t places) {
  const CurrentContext current(*gpu);
  TESSERA_RETURN_IF_ERROR(current.status());
  TESSERA_ASSIGN_OR_RETURN(auto memory, pin(gpu, places * sizeof(CardTimes)));
  return std::unique_ptr<LaunchTimes>(new LaunchTimes(std::move(memory)));  // NOLINT: private constructor
}

std::uint64_t LaunchTimes::clear(std::size_t place) {
  std::atomic_ref(at(place).begun_ns).store(0, std::memory_order_relaxed);
  std::atomic_ref(at(place).ended_ns).store(0, std::memory_order_release);
  return reinterpret_cast<std::uintptr_t>(&at(place));
}

CardTimes LaunchTimes::read(std::size_t place) const {
  CardTimes& times = at(place);
  const TimePoint until = now() + kTimesPatience;
  for (;;) {
    if (const std::uint64_t ended = std::atomic_ref(times.ended_ns).load(std::memory_order_acquire); ended != 0) {
      return {std::atomic_ref(times.begun_ns).load(std::memory_order_relaxed), ended};
    }
    if (now() >= until) {
      return {};
    }
    pause_briefly();
  }
}

}  // namespace tessera::device
