#include "base/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace tessera {

Histogram::Histogram(std::vector<std::uint64_t> counts, Duration sum) : buckets_(std::move(counts)), sum_(sum) {
  TESSERA_CHECK(buckets_.size() == static_cast<std::size_t>(kBuckets));
  for (const std::uint64_t count : buckets_) {
    count_ += count;
  }
}

int Histogram::bucket_of(Duration value) {
  const auto ns = static_cast<std::uint64_t>(std::max<Duration::rep>(0, value.count()));
  if (ns < (1U << kSubBits)) {
    return static_cast<int>(ns);
  }
  const int bits = std::bit_width(ns);  // > kSubBits
  if (bits > kMaxBits) {
    return kBuckets - 1;
  }
  const int shift = bits - kSubBits - 1;
  const auto sub = static_cast<int>((ns >> shift) & ((1U << kSubBits) - 1));
  return ((shift + 1) << kSubBits) + sub;
}

std::uint64_t Histogram::upper_edge(int bucket) {
  if (bucket < (1 << kSubBits)) {
    return static_cast<std::uint64_t>(bucket);
  }
  const int shift = (bucket >> kSubBits) - 1;
  const auto sub = static_cast<std::uint64_t>(bucket & ((1 << kSubBits) - 1));
  return (((1ULL << kSubBits) + sub + 1) << shift) - 1;
}

void Histogram::record(Duration value) {
  ++buckets_[static_cast<std::size_t>(bucket_of(value))];
  ++count_;
  sum_ += value;
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    buckets_[i] += other.buckets_[i];
  }
  count_ += other.count_;
  sum_ += other.sum_;
}

Duration Histogram::quantile(double q) const {
  const auto rank = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (int bucket = 0; bucket < kBuckets && count_ > 0; ++bucket) {
    seen += buckets_[static_cast<std::size_t>(bucket)];
    if (seen >= std::max<std::uint64_t>(rank, 1)) {
      return Duration(static_cast<Duration::rep>(upper_edge(bucket)));
    }
  }
  return Duration::zero();
}

std::uint64_t Histogram::count_up_to(Duration limit) const {
  std::uint64_t seen = 0;
  for (int bucket = 0;
       bucket < kBuckets && upper_edge(bucket) <= static_cast<std::uint64_t>(std::max<Duration::rep>(0, limit.count()));
       ++bucket) {
    seen += buckets_[static_cast<std::size_t>(bucket)];
  }
  return seen;
}

}  // namespace tessera
