#include "runtime/counters.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include "base/clock.h"

namespace tessera::runtime {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(Failure::kCount)> kFailureNames = {
    "invalid", "queue_full", "timeout", "deadline", "model_gone", "cancelled", "engine", "device"};

std::uint64_t ns_of(Duration time) { return static_cast<std::uint64_t>(std::max(time, Duration::zero()).count()); }

// The wall clock's milliseconds at a moment of the monotonic axis.
std::uint64_t unix_ms(TimePoint at) {
  const auto wall = std::chrono::system_clock::now().time_since_epoch() - (now() - at);
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(wall).count());
}

}  // namespace

void HistogramCells::record(Duration value) {
  buckets_[static_cast<std::size_t>(Histogram::bucket_of(value))].add(1);
  sum_ns_.add(ns_of(value));
}

Histogram HistogramCells::get() const {
  std::vector<std::uint64_t> counts(buckets_.size());
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts[i] = buckets_[i].get();
  }
  return Histogram(std::move(counts), Duration(static_cast<std::int64_t>(sum_ns_.get())));
}

ModelCounters::ModelCounters(std::string model, std::int64_t version, std::int32_t max_batch_size,
                             const sched::LiveParams& params, const DeviceShape& device, bool uncaptured)
    : model_(std::move(model)),
      version_(version),
      device_(device.name),
      uncaptured_(uncaptured),
      batches_(static_cast<std::size_t>(std::max(max_batch_size, 1)) + 1),
      launches_by_atom_(device.atoms()) {
  set_params(params);
}

void ModelCounters::set_params(const sched::LiveParams& params) {
  const std::lock_guard lock(params_mutex_);
  params_ = params;
  slo_ns_.store(params.slo.value_or(Duration::zero()).count(), std::memory_order_relaxed);
}

sched::LiveParams ModelCounters::params() const {
  const std::lock_guard lock(params_mutex_);
  return params_;
}

bool ModelCounters::slo_turns_out_impossible() {
  if (!slo_is_impossible() || told_impossible_ == slo()) {
    return false;
  }
  told_impossible_ = slo();
  return true;
}

void ModelCounters::batch_ended(std::int32_t rows, const Slice& slice, const BatchTimes& times, bool ok) {
  const Duration run = times.ended - times.started;
  atom_ns_.add(ns_of(run) * slice.count);
  for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
    launches_by_atom_[atom].add(1);
  }
  if (ok) {
    executions_.add(1);
    BatchCells& cells = batches_[std::min(static_cast<std::size_t>(rows), batches_.size() - 1)];
    cells.input.add(times.started - times.launched);
    cells.infer.add(run);
    cells.output.add(times.ready - times.ended);
  }
}

void ModelCounters::request_ended(TimePoint arrival, std::int32_t rows, const BatchTimes& times) {
  const Duration latency = times.ready - arrival;
  if (const Duration slo = this->slo(); slo > Duration::zero()) {
    (latency <= slo ? met_ : late_).add(1);
  }
  const Duration queued = times.launched - arrival;
  rows_.add(static_cast<std::uint64_t>(rows));
  success_.add(latency);
  queue_.add(queued);
  input_.add(times.started - times.launched);
  infer_.add(times.ended - times.started);
  output_.add(times.ready - times.ended);
  latency_.record(latency);
  queue_time_.record(queued);
  last_ended_ns_.set(static_cast<std::uint64_t>(times.ready.time_since_epoch().count()));
}

void ModelCounters::fail(Failure reason, Duration waited, bool counts_for_slo) {
  failures_[static_cast<std::size_t>(reason)].fetch_add(1, std::memory_order_relaxed);
  if (reason != Failure::kInvalid) {
    fail_ns_.fetch_add(ns_of(waited), std::memory_order_relaxed);
  }
  if (counts_for_slo && slo() > Duration::zero()) {
    missed_.fetch_add(1, std::memory_order_relaxed);
  }
}

void ModelCounters::answered_after_return(Duration latency) {
  const std::lock_guard lock(returns_mutex_);
  return_time_.record(latency);
}

ModelStatistics ModelCounters::snapshot() const {
  ModelStatistics out;
  out.model = model_;
  out.version = version_;
  out.inference_count = rows_.get();
  out.execution_count = executions_.get();
  out.uncaptured_batches = uncaptured_ ? out.execution_count : 0;
  if (const std::uint64_t last = last_ended_ns_.get(); last != 0) {
    out.last_inference_ms = unix_ms(TimePoint(Duration(static_cast<std::int64_t>(last))));
  }
  out.success = success_.get();
  out.queue = queue_.get();
  out.compute_input = input_.get();
  out.compute_infer = infer_.get();
  out.compute_output = output_.get();
  for (std::size_t rows = 0; rows < batches_.size(); ++rows) {
    const BatchCells& cells = batches_[rows];
    if (cells.infer.count.get() != 0) {
      out.batches[static_cast<std::int32_t>(rows)] = {cells.input.get(), cells.infer.get(), cells.output.get()};
    }
  }
  for (std::size_t i = 0; i < failures_.size(); ++i) {
    const std::uint64_t count = failures_[i].load(std::memory_order_relaxed);
    out.failures[std::string(kFailureNames[i])] = count;
    out.fail.count += static_cast<Failure>(i) == Failure::kInvalid ? 0 : count;
  }
  out.fail.total = Duration(static_cast<std::int64_t>(fail_ns_.load(std::memory_order_relaxed)));
  out.pending = waiting_.get();
  out.met_slo = met_.get();
  out.with_slo = out.met_slo + late_.get() + missed_.load(std::memory_order_relaxed);
  out.params = params();
  out.fastest_measured = fastest_measured();
  out.latency = latency_.get();
  out.queue_time = queue_time_.get();
  out.evictions = evictions_.load(std::memory_order_relaxed);
  out.waiting_for_return = waiting_for_return_.load();
  {
    const std::lock_guard lock(returns_mutex_);
    out.return_time = return_time_;
  }
  out.atom_seconds = static_cast<double>(atom_ns_.get()) * 1e-9;
  for (std::size_t atom = 0; atom < launches_by_atom_.size(); ++atom) {
    out.launches_by_atom[{device_, static_cast<std::uint16_t>(atom)}] = launches_by_atom_[atom].get();
  }
  return out;
}

}  // namespace tessera::runtime
