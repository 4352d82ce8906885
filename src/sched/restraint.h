// How much of the device early batches may hold that keep it for longer than another model can wait.
#pragma once

#include <vector>

#include "base/time.h"
#include "sched/target.h"
#include "sched/view.h"

namespace tessera::sched {

// Owned by its policy. A batch that leaves before it has to, for atoms would idle, wastes some of what it takes; where
// it outlasts the slack of a model with a much tighter objective, it also takes from that one what two or three of its
// requests in a row would need, which the guard, that asks for one, does not see. Those that have time therefore hold
// together no more than what they ask of the device, or as much as the tight model spares for others by what it misses
// (Instance::spares). What has to leave does so as before.
class Restraint {
 public:
  // Now and then, and whenever instances came or went. Costs a few nanoseconds for each pair of a model that missed
  // lately and another one.
  void look(const View& view, const Targets& targets, TimePoint now);
  // An early batch of that instance, in that slice until then.
  bool allows(const View& view, const Instance& instance, const Slice& slice, TimePoint ends, TimePoint now) const;

 private:
  struct Tight {
    const Instance* instance = nullptr;
    Duration slack{0};  // of a single row
    double asked = 0;   // atoms that those ask for who outlast it
  };
  struct Asking {
    const Instance* instance = nullptr;
    Duration run{0};
    double atoms = 0;
  };

  static bool is_much_tighter(const Instance& than, const Instance& instance);

  std::vector<Tight> tight_;
  std::vector<Asking> asking_;
};

}  // namespace tessera::sched
