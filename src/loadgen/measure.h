// The rules by which runs are judged: latency from the scheduled arrival, attainment, percentiles, and what may be
// concluded from a number of requests.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/histogram.h"
#include "base/time.h"

namespace tessera::loadgen {

// What became of the requests of one tenant. Value. A latency counts from the moment at which the request was to be
// sent, not from when it was: a generator or a server that falls behind hides nothing.
class Tally {
 public:
  void offered() { ++offered_; }
  void answered(Duration latency, std::optional<Duration> slo);
  void rejected() { ++rejected_; }
  void failed() { ++failed_; }  // neither an answer nor a refusal that the server means
  void merge(const Tally& other);

  std::uint64_t offered_count() const { return offered_; }
  std::uint64_t answered_count() const { return answered_; }
  std::uint64_t rejected_count() const { return rejected_; }
  std::uint64_t failed_count() const { return failed_; }
  std::uint64_t met_count() const { return met_; }  // answered within the objective; without one, answered
  // The share of offered requests that met their objective: 1 of none.
  double attainment() const;
  // Upper edge of the bucket (at most 3 % wide) of that quantile of the answered ones.
  Duration quantile(double q) const { return latencies_.quantile(q); }

 private:
  std::uint64_t offered_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t rejected_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t met_ = 0;
  Histogram latencies_;
};

// How many requests it takes to say, with that confidence, that at least the share `percentile` of all requests is
// within the limit, when `over` of them were not: the least n with P(Binomial(n, 1 - percentile) <= over) <= 1 -
// confidence. The early-stopping rule of MLPerf LoadGen (mlcommons/inference, loadgen/early_stopping.cc, tolerance 0,
// confidence 0.99): 459 requests without any over the limit, 662 with one, for the 99th percentile.
std::uint64_t early_stopping_requests(std::uint64_t over, double percentile = 0.99, double confidence = 0.99);

// The score interval of Wilson (JASA 22, 1927) for a share: `successes` of `trials`, z deviations wide to each side.
struct Interval {
  double low = 0;
  double high = 1;
};
Interval wilson(std::uint64_t successes, std::uint64_t trials, double z = 1.96);

// Fairness by Jain, Chiu and Hawe (DEC-TR-301, 1984): 1 when all are equal, 1/n when one has all; 1 of nothing.
double jain_index(std::span<const double> shares);

}  // namespace tessera::loadgen
