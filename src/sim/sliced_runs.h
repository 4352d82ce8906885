// Runs in slices of a device, and what those beside each other cost one another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"
#include "core/slice.h"

namespace tessera::sim {

// By which part a run takes longer while others keep `busy` of the device's atoms busy, of `atoms` in all: memory and
// L2 are everybody's, and who has more of the device asks more of them. Fitted to 290,000 runs of six models on an
// H200 (decision 084).
inline double slowed_by(double neighbour, int own, int busy, int atoms) {
  return neighbour * (1 + static_cast<double>(own) / atoms) * busy / atoms;
}

// That of a scheduler's slope, which knows nothing of a run's own part: most runs that it has seen had about a quarter.
inline double neighbour_of_slope(double slope) { return slope / 1.25; }

// A run begins when its atoms are free of all that came before, and gets on as its neighbours let it, from moment to
// moment. Owned by one thread.
class SlicedRuns {
 public:
  struct Done {
    std::size_t who;
    TimePoint begin;
    friend bool operator==(const Done&, const Done&) = default;
  };

  explicit SlicedRuns(std::uint16_t atoms) : atoms_(atoms) {}

  // `alone`: of the run, if nothing else did. `now` never goes back.
  void join(std::size_t who, const Slice& slice, Duration alone, double neighbour, TimePoint now);
  // Those that are done by `now`, in the order in which they began; who waited for them begins. None may be due before.
  std::vector<Done> leave(TimePoint now);
  // When the next one will be done unless others join; kNever when none runs.
  TimePoint next() const;

 private:
  struct One {
    std::size_t who;
    Slice slice;
    double left_ns;  // of its time alone
    double neighbour;
    TimePoint begin{};
  };
  double speed(const One& one) const;
  void advance(TimePoint now);
  void begin_waiting(TimePoint now);

  int atoms_;
  int busy_ = 0;              // atoms
  std::vector<One> running_;  // in the order in which they began
  std::vector<One> waiting_;  // in the order in which they came
  TimePoint at_{};
};

}  // namespace tessera::sim
