#include "sim/crowd.h"

#include <algorithm>
#include <cmath>

namespace tessera::sim {

double Crowd::speed(const One& one) const { return 1 / (1 + one.each * static_cast<double>(all_.size() - 1)); }

void Crowd::advance(TimePoint now) {
  const auto passed = static_cast<double>((now - at_).count());
  for (One& one : all_) {
    one.left_ns -= passed * speed(one);
  }
  at_ = now;
}

void Crowd::join(std::size_t who, double each, Duration alone, TimePoint now) {
  advance(now);
  all_.push_back({who, each, static_cast<double>(alone.count())});
}

std::vector<std::size_t> Crowd::leave(TimePoint now) {
  advance(now);
  std::vector<std::size_t> gone;
  // Moments are whole nanoseconds.
  const double least = 1.0;
  for (const One& one : all_) {
    if (one.left_ns < least) {
      gone.push_back(one.who);
    }
  }
  all_.erase(std::remove_if(all_.begin(), all_.end(), [&](const One& one) { return one.left_ns < least; }), all_.end());
  return gone;
}

TimePoint Crowd::next() const {
  double first = -1;
  for (const One& one : all_) {
    const double in = std::max(0.0, one.left_ns) / speed(one);
    first = first < 0 ? in : std::min(first, in);
  }
  return first < 0 ? kNever : at_ + Duration(static_cast<Duration::rep>(std::ceil(first)));
}

}  // namespace tessera::sim
