// Virtual time: what is to happen, in the order of (time, sequence).
#pragma once

#include <boost/heap/d_ary_heap.hpp>
#include <cstdint>

#include "base/time.h"

namespace tessera::sim {

// Owned by one thread. Two events at one moment happen in the order in which they were asked for.
class Loop {
 public:
  // Who is told that a moment has come. The token is what it asked with.
  class Target {
   public:
    virtual ~Target() = default;
    virtual void due(std::uint64_t token) = 0;
  };

  // `when` in the past means now. The target must live until then.
  void at(TimePoint when, Target& target, std::uint64_t token);

  bool empty() const { return heap_.empty(); }
  TimePoint next() const { return heap_.empty() ? kNever : heap_.top().when; }
  TimePoint time() const { return time_; }

  // The next event, if there is one no later than `limit`.
  bool step(TimePoint limit = kNever);
  // All that is due until then; afterwards it is `end`.
  void run_until(TimePoint end);

 private:
  struct Due {
    TimePoint when;
    std::uint64_t sequence;
    Target* target;
    std::uint64_t token;
  };
  struct Later {
    bool operator()(const Due& a, const Due& b) const {
      return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
    }
  };

  // Wide and flat: with thousands of events most of what a step costs is memory that it looks at.
  boost::heap::d_ary_heap<Due, boost::heap::arity<4>, boost::heap::compare<Later>> heap_;
  std::uint64_t sequence_ = 0;
  TimePoint time_{};
};

}  // namespace tessera::sim
