// What the parts of this benchmark share: samples, the card's clock on the host's axis, a dispatcher in a closed loop.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/pause.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/cuda_plan.h"
#include "tests/support/cuda/probe_kit.h"

namespace tessera::device::bench {

using contract::MappedMemory;
using contract::ProbeArgs;
using contract::ProbeClock;
using contract::ProbeGate;
using contract::ProbeKit;
using std::chrono::microseconds;
using std::chrono::milliseconds;

inline double us(Duration span) { return static_cast<double>(span.count()) / 1000; }

// Samples in microseconds.
class Samples {
 public:
  void add(Duration span) { values_.push_back(us(span)); }
  void add(double value) { values_.push_back(value); }
  double at(double quantile) {
    TESSERA_CHECK(!values_.empty());
    std::sort(values_.begin(), values_.end());
    return values_[std::min(values_.size() - 1,
                            static_cast<std::size_t>(quantile * static_cast<double>(values_.size())))];
  }
  std::string json() {
    std::array<char, 160> text{};
    std::snprintf(text.data(), text.size(), R"({"n":%zu,"p50":%.2f,"p90":%.2f,"p99":%.2f,"max":%.2f})", values_.size(),
                  at(0.5), at(0.9), at(0.99), at(1));
    return text.data();
  }

 private:
  std::vector<double> values_;
};

inline void print(const std::string& name, const std::string& json) {
  std::printf(",\n \"%s\": %s", name.c_str(), json.c_str());
  std::fflush(stdout);
}

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.error().message().c_str());
    std::exit(1);
  }
  return std::move(result).value();
}

inline void must(const Status& status) {
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.error().message().c_str());
    std::exit(1);
  }
}

template <typename Work>
Duration timed(const Work& work) {
  const TimePoint begin = now();
  work();
  return now() - begin;
}

// The card's clock on the host's axis. The two drift apart by microseconds a second, so what was measured between two
// readings is placed by both of them.
class CardClock {
 public:
  CardClock(ProbeKit& kit, CUstream stream) : kit_(kit), stream_(stream) { read(); }

  void read();

  // Of a time between the last two readings.
  double host_ns(std::uint64_t card_ns) const {
    const auto at = static_cast<double>(card_ns);
    const double slope = (after_.offset_ns - before_.offset_ns) / (after_.card_ns - before_.card_ns);
    return at + before_.offset_ns + slope * (at - before_.card_ns);
  }
  double round_trip_us() const { return us(after_.round_trip); }
  double drift_us_per_s() const {
    return (after_.offset_ns - before_.offset_ns) / (after_.card_ns - before_.card_ns) * 1e6;
  }

 private:
  struct Reading {
    Duration round_trip = kForever;
    double card_ns = 0;
    double offset_ns = 0;
  };
  ProbeKit& kit_;
  const CUstream stream_;
  Reading before_;
  Reading after_;
};

// Whose runs note by the card's clock when they ended. The batch's bucket says which of several run at once it is.
class TimedPlan : public CudaPlan {
 public:
  Status finish(const Slice&, Batch&) const override { return ok_status(); }
  virtual std::uint64_t ended_ns(const Batch& batch) const = 0;
};

// One probe run after another; remembers where the last one of each batch noted its end.
class BenchPlan final : public TimedPlan {
 public:
  BenchPlan(ProbeKit& kit, Duration busy, ProbeGate* gate = nullptr) : kit_(kit), busy_(busy), gate_(gate) {}

  Status enqueue(const Slice& slice, const LaunchQueue& queue, Batch& batch) const override {
    const auto slot = kit_.take_slot();
    TESSERA_CHECK(slot.has_value());
    // The batch's bucket carries the place where the note is to be found.
    notes_[static_cast<std::size_t>(batch.bucket)] = slot->note;
    ProbeArgs args{};
    args.blocks = slot->blocks;
    args.note = slot->note;
    args.gate = gate_;
    args.input = slot->input;
    args.output = slot->output;
    args.busy_ns = static_cast<std::uint64_t>(busy_.count());
    return kit_.enqueue(slice, queue.run, args);
  }
  std::uint64_t ended_ns(const Batch& batch) const override {
    return notes_[static_cast<std::size_t>(batch.bucket)]->ended_ns;
  }
  std::uint64_t began_ns(const Batch& batch) const { return notes_[static_cast<std::size_t>(batch.bucket)]->began_ns; }

 private:
  ProbeKit& kit_;
  const Duration busy_;
  ProbeGate* const gate_;
  mutable std::array<contract::ProbeNote*, 64> notes_{};
};

// A dispatcher that keeps each of some slices busy with one launch at a time. Owned by the main thread, which spins.
class Loop final : public CompletionSink {
 public:
  explicit Loop(CudaDevice& device) : device_(device) { device.set_sink(*this); }

  void completed(const Completion& completion) override {
    const std::size_t at = written_.load(std::memory_order_relaxed);
    ring_[at % ring_.size()] = completion;
    written_.store(at + 1, std::memory_order_release);
  }
  void device_down(const Error& reason) override {
    std::fprintf(stderr, "%s\n", reason.message().c_str());
    std::exit(1);
  }

  // Spins until something has ended, or `until`.
  const Completion* next(TimePoint until = kNever) {
    while (written_.load(std::memory_order_acquire) == read_) {
      if (until != kNever && now() > until) {
        return nullptr;
      }
      pause_briefly();
    }
    const Completion& completion = ring_[read_++ % ring_.size()];
    device_.retire(completion.id);
    return &completion;
  }

  LaunchId launch(const Plan& plan, const Slice& slice, Batch& batch) {
    const LaunchId id{++last_id_};
    const TimePoint begin = now();
    static_cast<void>(must(device_.launch({.id = id, .slice = slice, .plan = &plan, .batch = &batch})));
    launch_cpu.add(now() - begin);
    return id;
  }

  Samples launch_cpu;

 private:
  CudaDevice& device_;
  std::array<Completion, 256> ring_;
  std::atomic<std::size_t> written_{0};
  std::size_t read_ = 0;
  std::uint64_t last_id_ = 0;
};

// `slices` atoms each with one launch in flight, launched again when it ends.
void closed_loop(const char* name, CudaDevice& device, const TimedPlan& plan, CardClock& clock, std::uint16_t slices,
                 int rounds);

}  // namespace tessera::device::bench
