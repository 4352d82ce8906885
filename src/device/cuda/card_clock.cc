#include "device/cuda/card_clock.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "device/cuda/card_clock_ptx.h"
#include "device/cuda/clock_calls.h"
#include "device/cuda/pinned_staging.h"

namespace tessera::device {
namespace {

constexpr std::uint32_t kQuestions = 300;
// For the first answer, which comes when the card has room for the kernel.
constexpr std::chrono::seconds kFirstPatience{5};
constexpr double kWorse = 1.25;  // than the best round trip

double ns(TimePoint at) { return static_cast<double>(at.time_since_epoch().count()); }

}  // namespace

ClockMap::ClockMap(std::span<const ClockReading> readings) {
  TESSERA_CHECK(!readings.empty());
  for (const ClockReading& reading : readings) {
    best_ = std::min(best_, reading.round_trip);
  }
  const auto most = std::chrono::duration_cast<Duration>(best_ * kWorse);
  for (const ClockReading& reading : readings) {
    if (reading.round_trip <= most) {
      readings_.push_back(reading);
    }
  }
}

double ClockMap::host_ns(std::uint64_t card_ns) const {
  const auto at = static_cast<double>(card_ns);
  if (readings_.size() == 1) {
    return at + readings_.front().offset_ns;
  }
  // What lies outside goes on as the nearest two do.
  const auto later = std::upper_bound(readings_.begin() + 1, readings_.end() - 1, at,
                                      [](double time, const ClockReading& reading) { return time < reading.card_ns; });
  const ClockReading& before = *std::prev(later);
  const double slope = (later->offset_ns - before.offset_ns) / (later->card_ns - before.card_ns);
  return at + before.offset_ns + slope * (at - before.card_ns);
}

double ClockMap::drift_us_per_s() const {
  const ClockReading& first = readings_.front();
  const ClockReading& last = readings_.back();
  return readings_.size() == 1 ? 0 : (last.offset_ns - first.offset_ns) / (last.card_ns - first.card_ns) * 1e6;
}

CardClock::CardClock(std::shared_ptr<Gpu> gpu, CUstream stream) : gpu_(std::move(gpu)), stream_(stream) {}

CardClock::~CardClock() {
  if (library_ != nullptr) {
    const CurrentContext current(*gpu_);
    static_cast<void>(gpu_->driver().library_unload(library_));
  }
}

Result<std::unique_ptr<CardClock>> CardClock::make(std::shared_ptr<Gpu> gpu, CUstream stream) {
  std::unique_ptr<CardClock> clock(new CardClock(std::move(gpu), stream));  // NOLINT: private constructor
  TESSERA_RETURN_IF_ERROR(clock->start());
  return clock;
}

Status CardClock::start() {
  const Driver& driver = gpu_->driver();
  const CurrentContext current(*gpu_);
  TESSERA_RETURN_IF_ERROR(current.status());
  TESSERA_ASSIGN_OR_RETURN(calls_, pin(gpu_, sizeof(ClockCalls)));
  TESSERA_RETURN_IF_ERROR(
      driver.check(driver.library_load_data(&library_, kCardClockPtx, nullptr, nullptr, 0, nullptr, nullptr, 0),
                   "load the kernel that tells the card's time"));
  CUkernel kernel = nullptr;
  TESSERA_RETURN_IF_ERROR(driver.check(driver.library_get_kernel(&kernel, library_, "tell_card_time"), "find it"));
  TESSERA_RETURN_IF_ERROR(driver.check(driver.kernel_get_function(&kernel_, kernel), "find it"));
  return driver.check(driver.func_load(kernel_), "load it");
}

Status CardClock::read() {
  TESSERA_ASSIGN_OR_RETURN(const ClockReading reading, ask());
  readings_.push_back(reading);
  return ok_status();
}

Result<ClockReading> CardClock::ask() {
  const Driver& driver = gpu_->driver();
  const CurrentContext current(*gpu_);
  TESSERA_RETURN_IF_ERROR(current.status());
  auto* calls = static_cast<ClockCalls*>(calls_.get());
  *calls = {};
  CUdeviceptr address = reinterpret_cast<CUdeviceptr>(calls);
  std::uint32_t count = kQuestions;
  void* values[] = {&address, &count};
  TESSERA_RETURN_IF_ERROR(
      driver.check(driver.launch_kernel(kernel_, 1, 1, 1, 1, 1, 1, 0, stream_, values, nullptr), "ask for its time"));
  ClockReading best{.round_trip = kForever};
  bool answers = true;
  for (std::uint32_t call = 1; call <= kQuestions; ++call) {
    const TimePoint asked = now();
    std::atomic_ref(calls->call).store(call, std::memory_order_release);
    TimePoint answered = asked;
    while (std::atomic_ref(calls->answer).load(std::memory_order_acquire) != call && answers) {
      answered = now();
      answers = answered - asked < kFirstPatience;
    }
    answered = now();
    if (!answers) {
      std::atomic_ref(calls->call).store(kQuestions, std::memory_order_release);  // whenever it runs, it ends
      return unavailable("the card does not answer when it is asked for its time");
    }
    if (answered - asked < best.round_trip) {
      best.round_trip = answered - asked;
      best.card_ns = static_cast<double>(calls->ns);
      best.offset_ns = ns(asked + best.round_trip / 2) - best.card_ns;
    }
  }
  TESSERA_RETURN_IF_ERROR(driver.check(driver.stream_synchronize(stream_), "ask for its time"));
  return best;
}

}  // namespace tessera::device
