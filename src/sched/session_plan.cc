#include "sched/session_plan.h"

#include <algorithm>
#include <optional>
#include <tuple>

namespace tessera::sched {

void SessionPlan::make(const Occupancy& device, std::vector<Job>& jobs, TimePoint from, TimePoint until) {
  runs_.clear();
  taken_.assign(device.shape().atoms(), Ticks{});
  tick_ = std::max(Duration{1}, Duration((until - from) / static_cast<Duration::rep>(kTicks)));
  std::sort(jobs.begin(), jobs.end(), [](const Job& a, const Job& b) {
    return std::tuple(a.deadline, a.served, a.tenant) < std::tuple(b.deadline, b.served, b.tenant);
  });
  for (const Job& job : jobs) {
    place(device, job, from);
  }
  std::sort(runs_.begin(), runs_.end(), [](const PlannedRun& a, const PlannedRun& b) {
    return std::tuple(a.start, a.slice) < std::tuple(b.start, b.slice);
  });
}

bool SessionPlan::place(const Occupancy& device, const Job& job, TimePoint from) {
  const auto ticks = static_cast<std::size_t>((job.run + tick_ - Duration{1}) / tick_);
  const auto first = static_cast<std::size_t>(std::max(Duration{0}, job.release - from) / tick_);
  const auto last = std::min<std::size_t>(kTicks, static_cast<std::size_t>((job.deadline - from) / tick_));
  if (ticks == 0 || first + ticks > last) {
    return false;
  }
  std::optional<std::pair<std::size_t, std::size_t>> best;  // tick, slice
  for (const std::size_t index : job.slices) {
    const Slice slice = device.slice(index).slice;
    Ticks free;
    for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
      free |= taken_[atom];
    }
    free.flip();
    // A tick stays where `ticks` free ones begin.
    for (std::size_t length = 1; length < ticks;) {
      const std::size_t step = std::min(length, ticks - length);
      free &= free >> step;
      length += step;
    }
    std::size_t tick = first;
    while (tick + ticks <= last && !free.test(tick)) {
      ++tick;
    }
    if (tick + ticks <= last && (!best || tick < best->first)) {
      best = {tick, index};
    }
  }
  if (!best) {
    return false;
  }
  const Slice slice = device.slice(best->second).slice;
  for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
    for (std::size_t tick = best->first; tick < best->first + ticks; ++tick) {
      taken_[atom].set(tick);
    }
  }
  const auto offset = static_cast<Duration::rep>(best->first);
  runs_.push_back({job.tenant, best->second, job.release, from + tick_ * offset, job.deadline - job.run});
  return true;
}

}  // namespace tessera::sched
