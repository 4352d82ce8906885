// The live form of ModelStatistics.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/time.h"
#include "core/slice.h"
#include "runtime/statistics.h"
#include "sched/model_params.h"

namespace tessera::runtime {

// A number with one writer at a time (the holder of a role) and any number of readers: a plain load and store, no
// locked instruction.
class Cell {
 public:
  void add(std::uint64_t n) { value_.store(get() + n, std::memory_order_relaxed); }
  void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct TimeCell {
  Cell count;
  Cell ns;

  void add(Duration time) {
    count.add(1);
    ns.add(static_cast<std::uint64_t>(std::max(time, Duration::zero()).count()));
  }
  CountAndTime get() const { return {count.get(), Duration(static_cast<std::int64_t>(ns.get()))}; }
};

// A Histogram with one writer and any number of readers.
class HistogramCells {
 public:
  void record(Duration value);
  Histogram get() const;

 private:
  std::array<Cell, Histogram::kBuckets> buckets_;
  Cell sum_ns_;
};

enum class Failure : std::size_t {
  kInvalid,
  kQueueFull,
  kTimeout,
  kDeadline,
  kModelGone,
  kCancelled,
  kEngine,
  kDevice,
  kCount
};

// What is counted when a batch has ended.
struct BatchTimes {
  TimePoint launched{};
  TimePoint started{};
  TimePoint ended{};
  TimePoint ready{};  // when its answers could be sent
};

// Written by the holder of the dispatcher's role, except where it says any thread, and fail(); read by any thread. A
// reader may see a request in one number and not yet in the next.
class ModelCounters {
 public:
  // `uncaptured`: its batches are launched kernel by kernel.
  ModelCounters(std::string model, std::int64_t version, std::int32_t max_batch_size, const sched::LiveParams& params,
                const DeviceShape& device, bool uncaptured);

  // What holds for requests that end from now on: written by the holder of the role.
  void set_params(const sched::LiveParams& params);
  sched::LiveParams params() const;                                                   // locks; for who asks rarely
  Duration slo() const { return Duration(slo_ns_.load(std::memory_order_relaxed)); }  // zero: none

  // See sched::LatencyTable.
  void set_fastest_measured(Duration fastest) { fastest_ns_.set(static_cast<std::uint64_t>(fastest.count())); }
  Duration fastest_measured() const { return Duration(static_cast<Duration::rep>(fastest_ns_.get())); }
  bool slo_is_impossible() const { return slo() > Duration::zero() && slo() < fastest_measured(); }
  // Whether it is, and this is the first time it is asked of this objective.
  bool slo_turns_out_impossible();

  void arrived() { waiting_.add(1); }
  void left_queue() { waiting_.add(~std::uint64_t{0}); }
  void batch_ended(std::int32_t rows, const Slice& slice, const BatchTimes& times, bool ok);
  void request_ended(TimePoint arrival, std::int32_t rows, const BatchTimes& times);
  // A request got no result after `waited`. `counts_for_slo`: whether it thereby missed the objective, where one is
  // set.
  void fail(Failure reason, Duration waited, bool counts_for_slo);

  // Any thread.
  void evicted() { evictions_.fetch_add(1, std::memory_order_relaxed); }
  void waits_for_return(bool begins) { waiting_for_return_.fetch_add(begins ? 1 : ~std::uint64_t{0}); }
  void answered_after_return(Duration latency);

  std::uint64_t waiting() const { return waiting_.get(); }
  const std::string& device() const { return device_; }
  ModelStatistics snapshot() const;

 private:
  struct BatchCells {
    TimeCell input, infer, output;
  };

  const std::string model_;
  const std::int64_t version_;
  const std::string device_;
  const bool uncaptured_;
  mutable std::mutex params_mutex_;
  sched::LiveParams params_;
  std::atomic<Duration::rep> slo_ns_{0};  // of params_, for the way of a request
  Cell rows_, executions_, last_ended_ns_, waiting_;
  TimeCell success_, queue_, input_, infer_, output_;
  std::vector<BatchCells> batches_;  // by rows
  std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(Failure::kCount)> failures_{};
  std::atomic<std::uint64_t> missed_{0}, fail_ns_{0};
  Cell met_, late_, atom_ns_, fastest_ns_;
  Duration told_impossible_{0};  // the objective of which that was said; the holder's
  std::vector<Cell> launches_by_atom_;
  HistogramCells latency_, queue_time_;
  std::atomic<std::uint64_t> evictions_{0}, waiting_for_return_{0};
  mutable std::mutex returns_mutex_;  // guards return_time_, which is rarely written
  Histogram return_time_;
};

}  // namespace tessera::runtime
