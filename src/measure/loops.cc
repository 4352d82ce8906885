#include "measure/loops.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/pause.h"
#include "measure/numbers.h"

namespace tessera::measure {
namespace {

LoopTimes times_of(std::vector<Duration> took, Duration length) {
  if (took.empty()) {
    return {};
  }
  std::sort(took.begin(), took.end());
  const auto at = [&](std::size_t percent) { return ms(took[std::min(took.size() - 1, took.size() * percent / 100)]); };
  return {took.size(), static_cast<double>(took.size()) / std::chrono::duration<double>(length).count(), at(50), at(99),
          ms(took.back())};
}

// Where launches wait for each other's slices; itself where they do not.
std::size_t first_in_its_slice(const std::vector<Loop>& loops, std::size_t loop) {
  if (loops[loop].after != device::After::kOverlap) {
    return loop;
  }
  const auto first = std::find_if(loops.begin(), loops.end(), [&](const Loop& other) {
    return other.slice == loops[loop].slice && other.after == device::After::kOverlap;
  });
  return static_cast<std::size_t>(first - loops.begin());
}

}  // namespace

// Completions, from whatever thread, for the one that dispatches. Thread-safe.
class Loops::Sink final : public device::CompletionSink {
 public:
  void completed(const device::Completion& completion) override {
    const std::lock_guard lock(mutex_);
    ended_.push_back(completion);
    count_.store(ended_.size(), std::memory_order_release);
  }
  void device_down(const Error& /*reason*/) override { down_.store(true); }

  // Spins until something has ended, or the device is down.
  std::vector<device::Completion> wait() {
    while (count_.load(std::memory_order_acquire) == 0 && !down_.load()) {
      pause_briefly();
    }
    const std::lock_guard lock(mutex_);
    count_.store(0);
    return std::exchange(ended_, {});
  }
  bool down() const { return down_.load(); }

  std::atomic<bool> stop{false};

 private:
  std::mutex mutex_;
  std::vector<device::Completion> ended_;
  std::atomic<std::size_t> count_{0};
  std::atomic<bool> down_{false};
};

Loops::Loops(device::Device& device) : device_(device), sink_(std::make_unique<Sink>()) { device_.set_sink(*sink_); }

Loops::~Loops() = default;

Status Loops::dispatch(const std::vector<Loop>& loops, std::vector<std::vector<Duration>>& took) {
  std::vector<std::pair<LaunchId, TimePoint>> running(loops.size());
  std::vector<TimePoint> free_at(loops.size());  // of its slice, kept at the first loop there
  std::size_t count = 0;
  Status failed;
  const auto launch = [&](std::size_t i) {
    device::Launch one;
    one.id = {++last_id_};
    one.instance = loops[i].instance;
    one.lane = loops[i].lane;
    one.slice = loops[i].slice;
    one.after = loops[i].after;
    one.plan = loops[i].plan;
    one.batch = loops[i].batch;
    running[i] = {one.id, now()};
    const auto started = device_.launch(one);
    if (started.ok()) {
      ++count;
    } else if (failed.ok()) {
      failed = started.error();
    }
  };
  for (std::size_t i = 0; i < loops.size(); ++i) {
    launch(i);
  }
  while (count > 0 && !sink_->down()) {
    for (const device::Completion& ended : sink_->wait()) {
      device_.retire(ended.id);
      --count;
      const auto found =
          std::find_if(running.begin(), running.end(), [&](const auto& r) { return r.first == ended.id; });
      TESSERA_CHECK(found != running.end());
      const auto i = static_cast<std::size_t>(found - running.begin());
      TimePoint& free = free_at[first_in_its_slice(loops, i)];
      took[i].push_back(ended.ended - std::max(found->second, free));
      free = ended.ended;
      if (!ended.status.ok() && failed.ok()) {
        failed = ended.status;
      }
      if (failed.ok() && !sink_->stop.load()) {
        launch(i);
      }
    }
  }
  return sink_->down() && failed.ok() ? unavailable("the device is down") : failed;
}

Result<std::vector<LoopTimes>> Loops::run(const std::vector<Loop>& loops, Duration at_least,
                                          const std::function<Status()>& meanwhile) {
  std::vector<std::vector<Duration>> took(loops.size());
  sink_->stop.store(false);
  Status dispatched;
  const TimePoint begin = now();
  std::thread dispatcher([&] { dispatched = dispatch(loops, took); });
  const Status done = meanwhile ? meanwhile() : ok_status();
  if (done.ok()) {
    std::this_thread::sleep_for(begin + at_least - now());
  }
  sink_->stop.store(true);
  dispatcher.join();
  if (!done.ok() || !dispatched.ok()) {
    return done.ok() ? dispatched.error() : done.error();
  }
  const Duration length = now() - begin;
  std::vector<LoopTimes> times;
  times.reserve(took.size());
  for (auto& each : took) {
    times.push_back(times_of(std::move(each), length));
  }
  return times;
}

Status as_loader_of(device::Device& device, const std::function<Status()>& work) {
  Status done;
  std::thread loader([&] {
    done = device.become_loader_thread();
    if (done.ok()) {
      done = work();
    }
  });
  loader.join();
  return done;
}

std::vector<Slice> side_by_side(const DeviceShape& shape, std::size_t count) {
  std::vector<Slice> slices;
  for (auto size = static_cast<std::uint16_t>(shape.atoms() / count); size > 0 && slices.size() < count; --size) {
    slices.clear();
    for (const Slice& slice : shape.ladder) {
      if (slice.count == size && (slices.empty() || slice.first >= slices.back().end()) && slices.size() < count) {
        slices.push_back(slice);
      }
    }
  }
  return slices;
}

}  // namespace tessera::measure
