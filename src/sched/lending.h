// How much of the device models without an objective may hold at a time: what the others do not need.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"
#include "sched/view.h"

namespace tessera::sched {

// Owned by its policy. The guard asks of one launch whether whoever may come next could still be in time; this looks at
// all who come. What has begun cannot be taken back, so that even what the guard permits makes somebody late now and
// then: two come at once, a run takes longer. A miss therefore takes from what its model spares for others, and each
// answer in time gives a little back (Instance::note_fate); least is what counts.
class Lending {
 public:
  // Now and then. `demand`: what models with objectives ask of the device, as a part of it.
  void look(const View& view, double demand, TimePoint now);
  // Of that instance, which has no objective: slices of groups from here on are too large now. Where what is lent is
  // less than an atom, one is free for as long as they did not have more of the device lately.
  std::size_t groups_end(const View& view, const Instance& instance, TimePoint now) const;

 private:
  double part_ = 0;  // of the device, for all of them together
};

}  // namespace tessera::sched
