// Latency of a model by batch size and slice size: measured at some points, interpolated between, corrected by what is
// observed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/time.h"

namespace tessera::sched {

struct ProfilePoint {
  std::int32_t bucket = 1;      // rows
  std::int32_t processors = 1;  // of the slice: SMs, cores
  Duration latency{0};          // of one run, median
};

// Value owned by one scheduler. Points come from measurements at load or from a cache; observe() corrects them.
class Profile {
 public:
  Profile() = default;
  explicit Profile(std::vector<ProfilePoint> points);

  // Time of one run of `bucket` rows on `processors`; nothing when no point is known at all. Monotone: never shorter
  // with more rows or fewer processors.
  std::optional<Duration> latency(std::int32_t bucket, std::int32_t processors) const;

  // A run was seen to take this long.
  void observe(std::int32_t bucket, std::int32_t processors, Duration took);

  // The learned 99th percentile of (observed - predicted), not below zero: what a guarantee has to add.
  Duration margin() const;

  std::vector<ProfilePoint> points() const;  // the corrected ones, to be kept on disk

 private:
  struct Cell {
    double latency_ns = 0;
    std::uint32_t observations = 0;
  };
  std::map<std::pair<std::int32_t, std::int32_t>, Cell> cells_;  // by (bucket, processors)
  std::vector<double> errors_ns_;                               // a bounded ring of observed - predicted
  std::size_t next_error_ = 0;
};

}  // namespace tessera::sched
