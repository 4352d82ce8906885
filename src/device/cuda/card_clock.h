// The card's clock on the host's axis.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "device/cuda/gpu.h"

namespace tessera::device {

// One answer of the card.
struct ClockReading {
  double card_ns = 0;
  double offset_ns = 0;  // what is to be added for the host's clock
  Duration round_trip{0};
};

// Readings in the order of their times, of which there is one at least. The two clocks drift apart by microseconds a
// second, so what lies between two readings is placed by both of them. Readings whose question and answer took much
// longer than the best one's are left out, for the answer was given some time in between. Immutable.
class ClockMap {
 public:
  explicit ClockMap(std::span<const ClockReading> readings);

  double host_ns(std::uint64_t card_ns) const;
  Duration round_trip() const { return best_; }  // the shortest: half of it is the most by which it can be wrong
  double drift_us_per_s() const;                 // over all of them
  std::size_t size() const { return readings_.size(); }

 private:
  std::vector<ClockReading> readings_;
  Duration best_ = kForever;
};

// Asks the card by a word in the host's memory that one of its threads looks at. Owned by one thread.
class CardClock {
 public:
  // `stream`: of the primary context. Pins memory, which stalls every launch on the card; so not while it serves.
  // Error: that of the driver.
  static Result<std::unique_ptr<CardClock>> make(std::shared_ptr<Gpu> gpu, CUstream stream);
  ~CardClock();
  CardClock(const CardClock&) = delete;
  CardClock& operator=(const CardClock&) = delete;

  // Asks some hundred times, in about a millisecond, and keeps the answer that took least. Others may run on the card
  // meanwhile. Error: that of the driver; kUnavailable where the card does not answer.
  Status read();
  void forget() { readings_.clear(); }
  const std::vector<ClockReading>& readings() const { return readings_; }

 private:
  CardClock(std::shared_ptr<Gpu> gpu, CUstream stream);
  Status start();
  Result<ClockReading> ask();

  const std::shared_ptr<Gpu> gpu_;
  const CUstream stream_;
  std::shared_ptr<void> calls_;  // ClockCalls, pinned
  CUlibrary library_ = nullptr;
  CUfunction kernel_ = nullptr;
  std::vector<ClockReading> readings_;
};

}  // namespace tessera::device
