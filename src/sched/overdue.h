// Which launches have run for so long that they will not end. Pure: reads no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/slice.h"

namespace tessera::sched {

// How long a launch may run: some times as long as predicted, and a while at least.
struct OverdueRule {
  int times = 0;
  Duration least{0};
  Duration unpredicted{0};  // at least, where no prediction is one for this very run

  Duration limit(Duration predicted, bool for_this_run) const;
};

// On processors that run nothing else a launch takes about what was predicted. A first run may last three seconds:
// ten times that where nothing is predicted.
inline constexpr OverdueRule kSteadyRule{10, std::chrono::seconds(2), std::chrono::seconds(30)};
// On a host's cores whatever else computes slows it down: a machine that swaps, or runs fifty programs, is no fault.
inline constexpr OverdueRule kUnsteadyRule{100, std::chrono::seconds(60), std::chrono::minutes(10)};

inline OverdueRule overdue_rule(const DeviceShape& shape) { return shape.steady ? kSteadyRule : kUnsteadyRule; }

// A launch's time begins when all that overlaps it and was launched before it has ended. Where launches wait for their
// lanes alone they share the processors, so each is given as many times its limit as there were launches at once.
// A launch is overdue when it was looked at twice, a fifth of its limit apart and not much more: a process that was
// stopped meanwhile finds its launches old and hears of their ends only then. Owned by the scheduler.
class OverdueWatch {
 public:
  struct Launch {
    LaunchId id;
    Slice slice;
    bool after_lane_only = false;
    Duration limit{0};
  };

  // Both return when to look first at what begins to run thereby; kNever where nothing does.
  TimePoint begin(const Launch& launch, TimePoint now);
  TimePoint end(LaunchId id, TimePoint now);

  // When to call due() next; kNever where nothing runs.
  TimePoint next() const;
  // Each launch once.
  std::optional<LaunchId> due(TimePoint now);
  // What was launched behind it and overlaps it, or what does: it does not begin.
  std::vector<LaunchId> behind(LaunchId id) const;

 private:
  struct Entry {
    Launch launch;
    TimePoint since = kNever;  // it runs; kNever: it waits for others
    TimePoint seen = kNever;   // the first of the two looks
    std::int64_t at_once = 1;
    bool found = false;
  };
  static Duration allowed(const Entry& entry) { return entry.launch.limit * entry.at_once; }
  static Duration between(const Entry& entry);
  static TimePoint look_at(const Entry& entry);
  bool waits(std::size_t index) const;

  std::vector<Entry> entries_;  // in the order of their launches
};

}  // namespace tessera::sched
