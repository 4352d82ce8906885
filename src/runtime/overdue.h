// Which launches have run for so long that they will never end, on devices where that can be told
// (DeviceShape::steady).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/slice.h"

namespace tessera::runtime {

// How long a launch may run: ten times as long as predicted and at least two seconds. A first run may last three
// seconds (DESIGN.md, profiles); where no prediction is one for this very run, ten times that.
struct OverdueRule {
  int times = 10;
  Duration least = std::chrono::seconds(2);
  Duration unpredicted = std::chrono::seconds(30);

  // `sure`: the prediction was made for inputs of this shape.
  Duration limit(Duration predicted, bool sure) const;
};

// A launch's time begins when all that overlaps it and was launched before it has ended. Where launches wait for their
// lanes alone they share the processors, so each is given as many times its limit as there were launches at once.
// A launch is overdue when it was looked at twice, a tenth of its limit apart: a process that was stopped meanwhile
// finds its launches old and first hears of their ends. Owned by one thread at a time; reads no clock.
class OverdueWatch {
 public:
  struct Launch {
    LaunchId id;
    Slice slice;
    bool after_lane_only = false;
    Duration limit{0};
  };

  void begin(const Launch& launch, TimePoint now);
  void end(LaunchId id, TimePoint now);

  // When to call due() next; kNever where nothing runs.
  TimePoint next() const;
  // Each launch once.
  std::optional<LaunchId> due(TimePoint now);
  // What was launched behind it and overlaps it, or what does: it never begins.
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
  static TimePoint look_at(const Entry& entry);
  bool waits(std::size_t index) const;

  std::vector<Entry> entries_;  // in the order of their launches
};

}  // namespace tessera::runtime
