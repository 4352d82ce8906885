// A timetable of slices for one session: who runs when and where, each at a fixed size, nobody beside another on an
// atom. Earliest deadline first, each at the earliest moment at which a slice of its size is free.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/time.h"
#include "sched/occupancy.h"

namespace tessera::sched {

struct PlannedRun {
  std::size_t tenant = 0;
  std::size_t slice = 0;
  TimePoint release{};
  TimePoint start{};
  TimePoint latest{};  // start that still meets the deadline
};

// Owned by its policy.
class SessionPlan {
 public:
  struct Job {
    std::size_t tenant = 0;
    double served = 0;  // of two with the same deadline who was served less is first
    TimePoint release{};
    TimePoint deadline{};
    Duration run{0};
    std::span<const std::size_t> slices;  // of its size
  };

  // Jobs for which no room is left are not in the plan. `jobs` is put in order.
  void make(const Occupancy& device, std::vector<Job>& jobs, TimePoint from, TimePoint until);

  std::vector<PlannedRun>& runs() { return runs_; }  // by start

 private:
  static constexpr std::size_t kTicks = 256;  // time is planned in that many parts of a session
  using Ticks = std::bitset<kTicks>;

  bool place(const Occupancy& device, const Job& job, TimePoint from);

  Duration tick_{1};
  std::vector<Ticks> taken_;  // by atom
  std::vector<PlannedRun> runs_;
};

}  // namespace tessera::sched
