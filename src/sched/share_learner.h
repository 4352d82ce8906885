// GSLICE's self-learning rule for one model: what a window of answers says about its share of the device and its batch.
//
// A. Dhakal, S. G. Kulkarni, K. K. Ramakrishnan: GSLICE: Controlled Spatial Sharing of GPUs for a Scalable Inference
// Platform, SoCC 2020. Every window has two residuals, rl = (SLO - p99) / SLO of latency and rt = (throughput - arrival
// rate) / arrival rate; while both lie in (0, 5 %) nothing moves, else the share moves by its product with the residual
// and the batch by its product with max(-1, rl). How the rule is read where it leaves a choice:
// docs/decisions/060-gslice-on-a-ladder.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/time.h"
#include "sched/instance.h"
#include "sched/ladder_sizes.h"

namespace tessera::sched {

// Owned by its policy.
class ShareLearner {
 public:
  // Begins with that share, in atoms, and the largest batch whose run is within the SLO.
  void start(const Instance& instance, const LadderSizes& sizes, double atoms);

  double atoms() const { return atoms_; }
  std::int32_t batch() const { return static_cast<std::int32_t>(batch_); }

  // Answers count from here on, for requests that arrived later than that.
  void open_window(const Instance& instance, TimePoint at);
  void answered(const Instance& instance, TimePoint arrival, TimePoint at, std::int32_t rows);
  // Moves share and batch; `size` is the one that the model has, which may be less than its share asks for.
  void close_window(const Instance& instance, const LadderSizes& sizes, std::uint16_t size, TimePoint at);

 private:
  struct Residuals {
    double latency;
    double throughput;
  };

  Residuals residuals(const Instance& instance, Duration run, double rate) const;
  double p99(const Instance& instance, Duration run) const;
  void move_batch(const Instance& instance, std::size_t group, const Residuals& seen);
  void move_share(const Instance& instance, const LadderSizes& sizes, std::uint16_t size, const Residuals& seen,
                  double rate);
  bool would_do(const Instance& instance, const LadderSizes& sizes, std::uint16_t size, std::uint16_t now,
                double rate) const;
  std::uint16_t knee(const Instance& instance, const LadderSizes& sizes) const;
  std::int32_t largest_batch(const Instance& instance, std::size_t group) const;
  Duration run_of(const Instance& instance, std::size_t group) const;

  static constexpr std::size_t kPercentiles = 200;  // of the SLO in steps of 1 %; beyond twice the SLO nothing differs

  double atoms_ = 1;
  double batch_ = 1;
  TimePoint opened_{};
  std::optional<Duration> slo_;  // when it opened; what was counted is relative to it
  double window_seconds_ = 1;
  std::uint64_t arrived_before_ = 0;
  std::uint64_t given_up_before_ = 0;
  std::array<std::uint32_t, kPercentiles + 1> rows_by_latency_{};
  std::uint64_t rows_ = 0;

  std::uint16_t too_small_ = 0;  // a size that was seen not to do,
  double too_small_at_ = 0;      // for so many rows per second
};

}  // namespace tessera::sched
