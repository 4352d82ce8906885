#include "sim/crowd.h"

#include <algorithm>
#include <cmath>

namespace tessera::sim {

double Crowd::speed() const {
  double width = 0;
  for (const One& one : all_) {
    width += one.width;
  }
  const double disturbed = 1 + contention_ * (1 - 1 / static_cast<double>(std::max<std::size_t>(1, all_.size())));
  return 1 / (std::max(1.0, width) * disturbed);
}

void Crowd::advance(TimePoint now) {
  const double done = static_cast<double>((now - at_).count()) * speed();
  for (One& one : all_) {
    one.left_ns -= done;
  }
  at_ = now;
}

void Crowd::join(std::size_t who, double width, Duration alone, TimePoint now) {
  advance(now);
  all_.push_back({who, width, static_cast<double>(alone.count())});
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
  if (all_.empty()) {
    return kNever;
  }
  double least = all_.front().left_ns;
  for (const One& one : all_) {
    least = std::min(least, one.left_ns);
  }
  return at_ + Duration(static_cast<Duration::rep>(std::ceil(std::max(0.0, least) / speed())));
}

}  // namespace tessera::sim
