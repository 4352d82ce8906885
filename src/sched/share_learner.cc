#include "sched/share_learner.h"

#include <algorithm>
#include <cmath>

namespace tessera::sched {
namespace {

// The paper's band in which nothing moves.
constexpr double kBand = 0.05;
constexpr double kLargestStep = 1.0;   // a share at most doubles in one window ...
constexpr double kLargestCut = 0.5;    // ... or halves
constexpr double kClearlyLess = 0.85;  // of the rate for which a size did not do: it may do now
constexpr double kDeviations = 2.0;    // of a window's count of arrivals from what it stands for
constexpr double kQuantile = 0.99;

bool in_band(double residual) { return residual > 0 && residual < kBand; }
double ratio(Duration a, Duration b) { return static_cast<double>(a.count()) / static_cast<double>(b.count()); }
double per_second(double rows, Duration span) { return rows * 1e9 / std::max<double>(1.0, span.count()); }

}  // namespace

void ShareLearner::start(const Instance& instance, const LadderSizes& sizes, double atoms) {
  atoms_ = atoms;
  batch_ = largest_batch(instance, sizes.group(sizes.holding(atoms)));
}

void ShareLearner::open_window(const Instance& instance, TimePoint at) {
  opened_ = at;
  slo_ = instance.params->slo;
  arrived_before_ = instance.rows_arrived;
  given_up_before_ = instance.rows_given_up;
  rows_by_latency_.fill(0);
  rows_ = 0;
}

void ShareLearner::answered(const Instance& instance, TimePoint arrival, TimePoint at, std::int32_t rows) {
  if (arrival < opened_) {
    return;
  }
  rows_ += static_cast<std::uint64_t>(rows);
  if (instance.params->slo) {
    const double percent = std::ceil(100.0 * ratio(at - arrival, *instance.params->slo));
    rows_by_latency_[static_cast<std::size_t>(std::min<double>(percent, kPercentiles))] +=
        static_cast<std::uint32_t>(rows);
  }
}

void ShareLearner::close_window(const Instance& instance, const LadderSizes& sizes, std::uint16_t size, TimePoint at) {
  if (!instance.table.known() || at <= opened_ || instance.params->slo != slo_) {
    return;
  }
  const std::size_t group = sizes.group(size);
  const double rate = per_second(static_cast<double>(instance.rows_arrived - arrived_before_), at - opened_);
  window_seconds_ = std::chrono::duration<double>(at - opened_).count();
  const Residuals seen = residuals(instance, run_of(instance, group), rate);
  if (in_band(seen.latency) && in_band(seen.throughput)) {
    return;
  }
  if (rate > 0) {
    move_batch(instance, group, seen);
  }
  move_share(instance, sizes, size, seen, rate);
}

// Throughput is what the learned profile says full batches in the slice answer: what a model could do, where what it
// did is never more than what arrived.
ShareLearner::Residuals ShareLearner::residuals(const Instance& instance, Duration run, double rate) const {
  const double throughput = per_second(batch(), run);
  return {instance.params->slo ? 1.0 - p99(instance, run) : kLargestStep,
          rate > 0 ? (throughput - rate) / rate : kLargestStep};
}

// Relative to the SLO. What was given up is later than all that was answered: it would have taken one more run after
// its deadline at least.
double ShareLearner::p99(const Instance& instance, Duration run) const {
  const std::uint64_t given_up = instance.rows_given_up - given_up_before_;
  const auto rank = static_cast<std::uint64_t>(std::ceil(kQuantile * static_cast<double>(rows_ + given_up)));
  if (rank > rows_) {
    return 1.0 + ratio(run, *instance.params->slo);
  }
  std::uint64_t seen = 0;
  std::size_t percent = 0;
  for (; percent < kPercentiles && seen + rows_by_latency_[percent] < rank; ++percent) {
    seen += rows_by_latency_[percent];
  }
  return static_cast<double>(percent) / 100.0;
}

void ShareLearner::move_batch(const Instance& instance, std::size_t group, const Residuals& seen) {
  const std::int32_t most = largest_batch(instance, group);
  double latency = seen.latency;
  if (seen.throughput < 0 && instance.params->slo) {
    // What waits for want of throughput is not helped by a smaller batch: only the run itself counts then.
    latency = 1.0 - ratio(run_of(instance, group), *instance.params->slo);
  }
  batch_ = std::clamp(batch_ + batch_ * std::max(-1.0, latency), 1.0, static_cast<double>(most));
}

void ShareLearner::move_share(const Instance& instance, const LadderSizes& sizes, std::uint16_t size,
                              const Residuals& seen, double rate) {
  const double least = std::min(seen.latency, seen.throughput);
  if (least <= 0) {
    too_small_ = size;
    too_small_at_ = rate;
    const double more = std::max<double>(atoms_, size) * (1.0 + std::clamp(-least, kBand, kLargestStep));
    atoms_ = std::min<double>(more, knee(instance, sizes));
    return;
  }
  const double fewer = std::max<double>(atoms_ * (1.0 - std::min(least, kLargestCut)), sizes.below(size));
  const std::uint16_t then = sizes.holding(fewer);
  if (then >= size || would_do(instance, sizes, then, size, rate)) {
    atoms_ = std::min(atoms_, fewer);
  }
}

// Whether both residuals stay positive in a smaller slice by what is known. In steps of the ladder, where a size is
// half of the next, the rule would otherwise swing between two of them for ever. Waits grow as in a queue with one
// server: with the length of a run and 1 / (1 - utilisation).
bool ShareLearner::would_do(const Instance& instance, const LadderSizes& sizes, std::uint16_t size, std::uint16_t now,
                            double rate) const {
  const double highest = rate + kDeviations * std::sqrt(rate / window_seconds_);  // of what may really arrive
  if (size <= too_small_ && highest > kClearlyLess * too_small_at_) {
    return false;
  }
  const std::size_t group = sizes.group(size);
  const std::int32_t batch = std::min(this->batch(), largest_batch(instance, group));
  const Duration run = instance.table.at(instance.bucket_for(batch), group);
  const Duration run_now = run_of(instance, sizes.group(now));
  const double busy = rate / per_second(batch, run);
  const double busy_now = rate / per_second(this->batch(), run_now);
  if (busy >= 1.0 - kBand || busy_now >= 1.0) {
    return false;
  }
  if (!instance.params->slo) {
    return true;
  }
  const double run_of_slo = ratio(run_now, *instance.params->slo);
  const double wait = std::max(0.0, p99(instance, run_now) - run_of_slo) * (1.0 - busy_now) / (1.0 - busy);
  return (run_of_slo + wait) * ratio(run, run_now) < 1.0 - kBand;
}

// From there on a larger slice makes no run shorter by more than the band.
std::uint16_t ShareLearner::knee(const Instance& instance, const LadderSizes& sizes) const {
  for (std::size_t i = 0; i + 1 < sizes.all().size(); ++i) {
    const Duration here = run_of(instance, sizes.group(sizes.all()[i]));
    if (ratio(here, run_of(instance, sizes.group(sizes.all()[i + 1]))) < 1.0 + kBand) {
      return sizes.all()[i];
    }
  }
  return sizes.all().back();
}

std::int32_t ShareLearner::largest_batch(const Instance& instance, std::size_t group) const {
  const auto& buckets = instance.params->buckets;
  if (!instance.params->dynamic_batching) {
    return 1;
  }
  std::int32_t largest = 1;
  for (std::size_t bucket = 0; bucket < buckets.size(); ++bucket) {
    const bool fits = !instance.params->slo || !instance.table.known() ||
                      ratio(instance.table.at(bucket, group), *instance.params->slo) <= 1.0;
    largest = fits ? std::min(buckets[bucket], instance.max_rows()) : largest;
  }
  return largest;
}

Duration ShareLearner::run_of(const Instance& instance, std::size_t group) const {
  return instance.table.at(instance.bucket_for(batch()), group);
}

}  // namespace tessera::sched
