#include "measure/loops.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/pause.h"
#include "measure/numbers.h"

namespace tessera::measure {
namespace {

constexpr std::size_t kCopiedAbove = 32 << 10;

double percentile_ms(const std::vector<Duration>& sorted, std::size_t percent) {
  return ms(sorted[std::min(sorted.size() - 1, sorted.size() * percent / 100)]);
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
  void copied(const device::CopyEnd& end) override {
    copy_failed_ = end.status;
    copied_.store(end.id.value, std::memory_order_release);
  }
  void device_down(const Error& /*reason*/) override { down_.store(true); }

  // Spins until that copy, after which none was begun, has ended, or the device is down.
  Status wait_for(CopyId copy) {
    while (copied_.load(std::memory_order_acquire) != copy.value && !down_.load()) {
      pause_briefly();
    }
    return down_.load() ? unavailable("the device is down") : copy_failed_;
  }

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
  Status copy_failed_;  // of the last copy; read once `copied_` says that it has ended
  std::atomic<std::uint64_t> copied_{0};
  std::atomic<bool> down_{false};
};

Loops::Loops(device::Device& device) : device_(device), sink_(std::make_unique<Sink>()) { device_.set_sink(*sink_); }

Loops::~Loops() = default;

LoopTimes Loops::times_of(Took took, Duration length) {
  if (took.in_slice.empty()) {
    return {};
  }
  std::sort(took.in_slice.begin(), took.in_slice.end());
  std::sort(took.whole.begin(), took.whole.end());
  const auto count = took.in_slice.size();
  return {.launches = count,
          .per_second = static_cast<double>(count) / std::chrono::duration<double>(length).count(),
          .p50_ms = percentile_ms(took.in_slice, 50),
          .p99_ms = percentile_ms(took.in_slice, 99),
          .worst_ms = ms(took.in_slice.back()),
          .whole_p50_ms = percentile_ms(took.whole, 50),
          .whole_p99_ms = percentile_ms(took.whole, 99)};
}

Status Loops::copy_inputs(Batch& batch) {
  for (BatchInput& input : batch.inputs) {
    input.copied.resize(input.parts.size());
    for (std::size_t part = 0; part < input.parts.size(); ++part) {
      const auto bytes = input.parts[part];
      if (bytes.size() <= kCopiedAbove || input.copied[part] || !device_.can_copy(bytes)) {
        continue;
      }
      const CopyId id{++last_copy_};
      TESSERA_RETURN_IF_ERROR(device_.copy({.id = id, .bytes = bytes}));
      TESSERA_RETURN_IF_ERROR(sink_->wait_for(id));
      input.copied[part] = true;
    }
  }
  return ok_status();
}

Status Loops::dispatch(const std::vector<Loop>& loops, std::size_t most, std::vector<Took>& took, std::latch& begun) {
  std::vector<std::pair<LaunchId, TimePoint>> running(loops.size());
  std::vector<TimePoint> free_at(loops.size());  // of its slice, kept at the first loop there
  std::vector<TimePoint> ready_at(loops.size());
  std::deque<std::size_t> waiting;
  std::size_t count = 0;
  Status failed;
  for (const Loop& loop : loops) {
    if (failed.ok()) {
      failed = copy_inputs(*loop.batch);
    }
    ready_at[waiting.size()] = now();
    waiting.push_back(waiting.size());
  }
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
  const auto launch_those_that_may = [&] {
    while (!waiting.empty() && count < most && failed.ok() && !sink_->stop.load()) {
      launch(waiting.front());
      waiting.pop_front();
    }
  };
  launch_those_that_may();
  begun.count_down();
  while (count > 0 && !sink_->down()) {
    for (const device::Completion& ended : sink_->wait()) {
      device_.retire(ended.id);
      --count;
      const auto found =
          std::find_if(running.begin(), running.end(), [&](const auto& r) { return r.first == ended.id; });
      TESSERA_CHECK(found != running.end());
      const auto i = static_cast<std::size_t>(found - running.begin());
      TimePoint& free = free_at[first_in_its_slice(loops, i)];
      took[i].in_slice.push_back(ended.ended - std::max(found->second, free));
      took[i].whole.push_back(ended.ended - ready_at[i]);
      free = ended.ended;
      if (!ended.status.ok() && failed.ok()) {
        failed = ended.status;
      }
      waiting.push_back(i);
      ready_at[i] = now();
      launch_those_that_may();
    }
  }
  return sink_->down() && failed.ok() ? unavailable("the device is down") : failed;
}

Result<std::vector<LoopTimes>> Loops::run(const std::vector<Loop>& loops, Duration at_least,
                                          const std::function<Status()>& meanwhile, std::size_t most) {
  std::vector<Took> took(loops.size());
  sink_->stop.store(false);
  Status dispatched;
  std::latch begun(1);  // a busy machine may keep the other thread from its turn for as long as `meanwhile` takes
  std::thread dispatcher([&] { dispatched = dispatch(loops, most, took, begun); });
  begun.wait();
  const TimePoint begin = now();
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
