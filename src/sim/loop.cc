#include "sim/loop.h"

#include <algorithm>

namespace tessera::sim {

void Loop::at(TimePoint when, Target& target, std::uint64_t token) {
  heap_.push({std::max(when, time_), sequence_++, &target, token});
}

bool Loop::step(TimePoint limit) {
  if (heap_.empty() || heap_.top().when > limit) {
    return false;
  }
  const Due due = heap_.top();
  heap_.pop();
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
