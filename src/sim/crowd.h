// Launches on the whole device at once, none kept from the other: what plain streams and default MPS do.
#pragma once

#include <cstddef>
#include <vector>

#include "base/time.h"

namespace tessera::sim {

// Processor sharing. A launch alone keeps the part `width` of the processors busy; as long as the widths of all add up
// to less than one nobody waits, beyond that all slow down alike. On top, n of them disturb each other: by the factor 1
// + contention * (1 - 1/n). Owned by one thread.
class Crowd {
 public:
  explicit Crowd(double contention) : contention_(contention) {}

  // `now` never goes back.
  void join(std::size_t who, double width, Duration alone, TimePoint now);
  // Those that are done by `now`, in the order in which they joined; they are gone.
  std::vector<std::size_t> leave(TimePoint now);
  // When the first one will be done unless others join; kNever when there is none.
  TimePoint next() const;

 private:
  struct One {
    std::size_t who;
    double width;
    double left_ns;  // of its time alone
  };
  double speed() const;
  void advance(TimePoint now);

  double contention_;
  std::vector<One> all_;
  TimePoint at_{};
};

}  // namespace tessera::sim
