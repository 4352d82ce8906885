#include "sim/loop.h"

#include <algorithm>

namespace tessera::sim {

void Loop::at(TimePoint when, Target& target, std::uint64_t token) {
  heap_.push_back({std::max(when, time_), sequence_++, &target, token});
  std::push_heap(heap_.begin(), heap_.end(), Later());
}

bool Loop::step(TimePoint limit) {
  if (heap_.empty() || heap_.front().when > limit) {
    return false;
  }
  std::pop_heap(heap_.begin(), heap_.end(), Later());
  const Due due = heap_.back();
  heap_.pop_back();
  time_ = due.when;
  due.target->due(due.token);
  return true;
}

void Loop::run_until(TimePoint end) {
  while (step(end)) {
  }
  time_ = std::max(time_, end);
}

}  // namespace tessera::sim
