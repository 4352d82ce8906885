#include "sim/sliced_runs.h"

#include <algorithm>
#include <cmath>

namespace tessera::sim {
namespace {

constexpr double kDone = 1.0;  // ns: moments are whole nanoseconds

}  // namespace

double SlicedRuns::speed(const One& one) const {
  return 1 / (1 + slowed_by(one.neighbour, one.slice.count, busy_ - one.slice.count, atoms_));
}

void SlicedRuns::advance(TimePoint now) {
  const auto passed = static_cast<double>((now - at_).count());
  for (One& one : running_) {
    one.left_ns -= passed * speed(one);
  }
  at_ = now;
}

void SlicedRuns::begin_waiting(TimePoint now) {
  const auto in_the_way = [](const One& one) {
    return [&one](const One& other) { return other.slice.overlaps(one.slice); };
  };
  for (auto one = waiting_.begin(); one != waiting_.end();) {
    if (std::any_of(running_.begin(), running_.end(), in_the_way(*one)) ||
        std::any_of(waiting_.begin(), one, in_the_way(*one))) {
      ++one;
      continue;
    }
    one->begin = now;
    busy_ += one->slice.count;
    running_.push_back(*one);
    one = waiting_.erase(one);
  }
}

void SlicedRuns::join(std::size_t who, const Slice& slice, Duration alone, double neighbour, TimePoint now) {
  advance(now);
  waiting_.push_back({who, slice, static_cast<double>(alone.count()), neighbour, {}});
  begin_waiting(now);
}

std::vector<SlicedRuns::Done> SlicedRuns::leave(TimePoint now) {
  advance(now);
  std::vector<Done> done;
  const auto over = [](const One& one) { return one.left_ns < kDone; };
  for (const One& one : running_) {
    if (over(one)) {
      done.push_back({one.who, one.begin});
      busy_ -= one.slice.count;
    }
  }
  if (!done.empty()) {
    running_.erase(std::remove_if(running_.begin(), running_.end(), over), running_.end());
    begin_waiting(now);
  }
  return done;
}

TimePoint SlicedRuns::next() const {
  double first = -1;
  for (const One& one : running_) {
    const double in = std::max(0.0, one.left_ns) / speed(one);
    first = first < 0 ? in : std::min(first, in);
  }
  return first < 0 ? kNever : at_ + Duration(static_cast<Duration::rep>(std::ceil(first)));
}

}  // namespace tessera::sim
