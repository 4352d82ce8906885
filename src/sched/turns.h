// Whether all models take turns on the whole device, for want of anything that slices would save.
#pragma once

#include "base/time.h"
#include "sched/target.h"
#include "sched/view.h"

namespace tessera::sched {

// Owned by its policy. A batch in a slice has neighbours, which cost it memory bandwidth and L2; one on the whole
// device leaves processors idle. Where what all models ask takes about as much of the device either way, turns are
// better: what is left of the device is in one piece, and nobody waits for a slice that another one holds for long.
// Both are told from the batches that the models would plan with, were the device full: what is asked now hardly
// changes the answer.
class Turns {
 public:
  // Now and then. `demand`: what models with objectives ask of the device, as a part of it. Turns end at once where a
  // model in use has no objective, a limit to its share, or one slice only, or any model has a reserved share: those
  // need room beside others.
  void look(const View& view, double demand, TimePoint now);
  bool on() const { return on_; }

 private:
  bool on_ = false;
  double ratio_ = 0;  // of the two, smoothed; 0: not known
};

}  // namespace tessera::sched
