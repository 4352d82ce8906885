// What the router reads of a device and of its models, while their dispatcher goes on.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/time.h"
#include "sched/router.h"

namespace tessera::runtime {

// A moment or a span with one writer at a time and any number of readers.
template <typename T>
class TimeSlot {
 public:
  explicit TimeSlot(T first) : ns_(count_of(first)) {}
  void set(T value) { ns_.store(count_of(value), std::memory_order_relaxed); }
  T get() const { return T(Duration(ns_.load(std::memory_order_relaxed))); }

 private:
  static std::int64_t count_of(Duration value) { return value.count(); }
  static std::int64_t count_of(TimePoint value) { return value.time_since_epoch().count(); }
  std::atomic<std::int64_t> ns_;
};

// Written by the holder of the device's dispatcher role, `down` by whoever learns of it first; read by any thread. A
// reader may see one number of a moment and the next of another: the router's choice is good or bad, never wrong.
struct alignas(64) DeviceLoadCell {
  TimeSlot<TimePoint> free_at{TimePoint::min()};
  TimeSlot<TimePoint> free_for_objectives{TimePoint::min()};
  std::atomic<bool> is_read{false};  // there are other devices to choose from
  std::atomic<bool> down{false};
  std::atomic<bool> held_up{false};  // by batches that do not end: no atom is left

  bool takes_launches() const {
    return !down.load(std::memory_order_acquire) && !held_up.load(std::memory_order_acquire);
  }

  void set(const sched::DeviceLoad& load) {
    free_at.set(load.free_at);
    free_for_objectives.set(load.free_for_objectives);
  }
};

// The same of a model on a device. What waits of it is in its counters.
struct alignas(64) ModelLoadCell {
  TimeSlot<Duration> each{Duration{0}};
  TimeSlot<Duration> run{Duration{0}};
  std::atomic<std::uint64_t> running{0};
  std::atomic<std::uint64_t> routed{0};  // counted by who routes

  void set(const sched::ModelLoad& load) {
    each.set(load.each);
    run.set(load.run);
    running.store(load.running, std::memory_order_relaxed);
  }
};

}  // namespace tessera::runtime
