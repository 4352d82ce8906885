// What a launch or a loan would do to those who do not wait yet: the guard and the reserved shares of policy tessera.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"
#include "sched/view.h"

namespace tessera::sched {

// Of an objective: at most half of what is left beside the run itself goes to the learned margin, so that a noisy past
// never makes an objective look impossible.
Duration bounded_margin(Duration margin, Duration objective, Duration latency);

// Owned by its policy. The guard holds for a launch when every loaded model with an SLO that was used lately could
// still meet it if a request arrived now, or is at least not worse off than without the launch.
class Guard {
 public:
  // To be called before allows(): follows changes of instances, predictions and use.
  void refresh(const View& view, TimePoint now);

  bool allows(const View& view, TimePoint now, const Slice& taken, TimePoint until);

  // Whether reserved shares of others permit it: of each floor the number of atoms, and one certain slice, stay the
  // owner's; they are lent only for as long as it could still meet its SLO for a request arriving now.
  static bool leaves_reserved(const View& view, TimePoint now, const Instance& taker, const Slice& taken,
                              TimePoint until);

 private:
  struct Row {
    const Instance* instance = nullptr;
    std::vector<Duration> may_wait;  // by group of slices: how long until a batch of one has to begin there
  };

  void read(const View& view, TimePoint now);

  std::uint64_t instances_version_ = 0;
  std::uint64_t use_version_ = 0;
  TimePoint read_at_ = TimePoint::min();
  std::vector<Row> rows_;
  std::vector<Duration> least_wait_;  // by group: the smallest of all rows
  std::vector<TimePoint> starts_;     // by group, with the launch
  std::vector<TimePoint> before_;     // by group, without
  bool any_bound_ = false;            // one of the rows runs in one slice only
};

// Atoms of a share, at least one where there is a share at all.
std::uint16_t atoms_of(double share, const Occupancy& device);

}  // namespace tessera::sched
