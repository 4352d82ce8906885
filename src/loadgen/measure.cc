#include "loadgen/measure.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace tessera::loadgen {
namespace {

// ln P(Binomial(n, p) <= most)
double log_at_most(std::uint64_t most, std::uint64_t n, double p) {
  if (most >= n) {
    return 0;
  }
  // From the largest term, which is the last one wherever this is small, downwards.
  const auto k = static_cast<double>(most);
  const auto trials = static_cast<double>(n);
  const double last = std::lgamma(trials + 1) - std::lgamma(k + 1) - std::lgamma(trials - k + 1) + k * std::log(p) +
                      (trials - k) * std::log1p(-p);
  double sum = 1;
  double term = 1;
  for (double i = k; i > 0 && term > 1e-18 * sum; --i) {
    term *= i / (trials - i + 1) * (1 - p) / p;
    sum += term;
  }
  return last + std::log(sum);
}

}  // namespace

void Tally::answered(Duration latency, std::optional<Duration> slo) {
  ++answered_;
  met_ += !slo || latency <= *slo ? 1 : 0;
  latencies_.record(latency);
}

void Tally::merge(const Tally& other) {
  offered_ += other.offered_;
  answered_ += other.answered_;
  rejected_ += other.rejected_;
  failed_ += other.failed_;
  met_ += other.met_;
  latencies_.merge(other.latencies_);
}

double Tally::attainment() const {
  return offered_ == 0 ? 1.0 : static_cast<double>(met_) / static_cast<double>(offered_);
}

std::uint64_t early_stopping_requests(std::uint64_t over, double percentile, double confidence) {
  TESSERA_CHECK(percentile > 0 && percentile < 1 && confidence > 0 && confidence < 1);
  const double limit = std::log1p(-confidence);
  const auto enough = [&](std::uint64_t n) { return log_at_most(over, n, 1 - percentile) <= limit; };
  std::uint64_t high = over + 1;
  while (!enough(high)) {
    high *= 2;
  }
  std::uint64_t low = high / 2;  // not enough, or 0
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (enough(middle) ? high : low) = middle;
  }
  return high;
}

Interval wilson(std::uint64_t successes, std::uint64_t trials, double z) {
  if (trials == 0) {
    return {};
  }
  const auto n = static_cast<double>(trials);
  const double share = static_cast<double>(successes) / n;
  const double centre = share + z * z / (2 * n);
  const double half = z * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  const double scale = 1 + z * z / n;
  return {std::max(0.0, (centre - half) / scale), std::min(1.0, (centre + half) / scale)};
}

double jain_index(std::span<const double> shares) {
  double sum = 0;
  double squares = 0;
  for (const double share : shares) {
    sum += share;
    squares += share * share;
  }
  return squares == 0 ? 1.0 : sum * sum / (static_cast<double>(shares.size()) * squares);
}

}  // namespace tessera::loadgen
