#include "loadgen/timeline.h"

#include <algorithm>

namespace tessera::loadgen {

void Moment::merge(const Moment& other) {
  offered += other.offered;
  answered += other.answered;
  met += other.met;
  failed += other.failed;
  slowest = std::max(slowest, other.slowest);
}

Moment& Timelines::at(std::size_t tenant, Duration since_begin) {
  while (since_begin >= step_ * kMost) {
    join_pairs();
  }
  const auto place = static_cast<std::size_t>(since_begin / step_);
  std::vector<Moment>& moments = tenants_[tenant];
  if (place >= moments.size()) {
    moments.resize(place + 1);
  }
  return moments[place];
}

void Timelines::cover(Duration length) {
  while (length > step_ * kMost) {
    join_pairs();
  }
  for (std::vector<Moment>& moments : tenants_) {
    moments.resize(static_cast<std::size_t>((length + step_ - Duration(1)) / step_));
  }
}

void Timelines::join_pairs() {
  step_ *= 2;
  for (std::vector<Moment>& moments : tenants_) {
    for (std::size_t i = 0; i < moments.size(); ++i) {
      if (i % 2 == 1) {
        moments[i / 2].merge(moments[i]);
      } else {
        moments[i / 2] = moments[i];
      }
    }
    moments.resize((moments.size() + 1) / 2);
  }
}

}  // namespace tessera::loadgen
