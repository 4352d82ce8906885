// Who goes first where several are due: models that miss more of their objectives than the others do.
#pragma once

#include "base/time.h"
#include "sched/view.h"

namespace tessera::sched {

// A device carries a mix as long as the worst-off model attains its objective, so misses are best shared. Each model's
// batches count as due a little sooner or later, by how its share of misses compares with the mean; one that misses
// far more than that has other troubles (a burst of its own, too few lanes, an objective that cannot be met), which
// the others are not to pay for. Owned by its policy.
class Balance {
 public:
  void look(const View& view, TimePoint now);  // now and then
  // How much sooner than at its latest start a batch counts as due; negative: later. Only for putting them in order.
  Duration lead(const Instance& instance) const;

  // The same as a part of the objective; both are shares of requests.
  static double part(double missed, double mean);

 private:
  double mean_ = 0;
};

}  // namespace tessera::sched
