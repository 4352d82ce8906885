// Launches on the whole device at once, none kept from the other: what plain streams and default MPS do.
#pragma once

#include <cstddef>
#include <vector>

#include "base/time.h"

namespace tessera::sim {

// Among n of them a launch takes 1 + `each` * (n - 1) times as long as alone, from moment to moment; `each` is its own.
// Linear in n, as 120,000 launches under policy `streams` on an H200 were (decision 084). Owned by one thread.
class Crowd {
 public:
  // `now` never goes back.
  void join(std::size_t who, double each, Duration alone, TimePoint now);
  // Those that are done by `now`, in the order in which they joined; they are gone.
  std::vector<std::size_t> leave(TimePoint now);
  // When the first one will be done unless others join; kNever when there is none.
  TimePoint next() const;

 private:
  struct One {
    std::size_t who;
    double each;
    double left_ns;  // of its time alone
  };
  double speed(const One& one) const;
  void advance(TimePoint now);

  std::vector<One> all_;
  TimePoint at_{};
};

}  // namespace tessera::sim
