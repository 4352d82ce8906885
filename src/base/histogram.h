// Durations counted in buckets of at most 3 % relative width: constant size, mergeable, no allocation when recording.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.h"

namespace tessera {

// Value; owned by one thread at a time. Log-linear: 32 buckets per power of two of nanoseconds, 0 ns to 2^40 ns (18
// min); longer ones count as the last bucket.
class Histogram {
 public:
  static constexpr int kSubBits = 5;
  static constexpr int kMaxBits = 40;
  static constexpr int kBuckets = (kMaxBits - kSubBits + 1) << kSubBits;

  Histogram() = default;
  // From counts kept elsewhere, one for each of kBuckets.
  Histogram(std::vector<std::uint64_t> counts, Duration sum);

  // The bucket in which a duration counts; negative ones count as zero.
  static int bucket_of(Duration value);

  void record(Duration value);
  void merge(const Histogram& other);

  std::uint64_t count() const { return count_; }
  Duration sum() const { return sum_; }
  // Upper edge of the bucket in which the q-quantile lies (0 < q <= 1); zero when empty.
  Duration quantile(double q) const;
  // How many recorded values lie in buckets that end at or below `limit`.
  std::uint64_t count_up_to(Duration limit) const;

 private:
  static std::uint64_t upper_edge(int bucket);

  // Not within: some threads that hold several of these have small stacks.
  std::vector<std::uint64_t> buckets_ = std::vector<std::uint64_t>(kBuckets);
  std::uint64_t count_ = 0;
  Duration sum_{0};
};

}  // namespace tessera
