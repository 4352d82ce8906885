// How much longer runs of a model take while others are busy beside them: a straight line through what was seen.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace tessera::sched {

// A regression of run times on `busy`, the share of the device's atoms that others keep busy when a run begins (0..1),
// with means of its own for each size of batch and slice. Value owned by one scheduler.
class CoRun {
 public:
  // Time of a run beside them over its time alone.
  double factor(double busy) const { return 1 + slope_ * busy; }
  // What was busy beside the model's runs lately, in the mean.
  double typical() const { return busy_; }
  // The factor of that, where the others can be no more than `others` of the device.
  double usual(double others) const { return factor(std::min(busy_, others)); }

  // `ratio`: a run's time over what a run alone is predicted to take. `size`: a small number for its batch and slice
  // size, so that a prediction which is off for one size is not mistaken for the others' work.
  void observe(std::size_t size, double busy, double ratio);

 private:
  struct Size {
    double busy = 0;
    double ratio = 1;
    double seen = 0;
  };

  std::vector<Size> sizes_;  // means
  double slope_ = 0;
  double busy_ = 0;    // the mean of all
  double ratio_ = 1;   // likewise
  double spread_ = 0;  // sum of squared deviations of `busy` from its size's mean, fading
  double shared_ = 0;  // of their products with the ratio's
  double seen_ = 0;
};

}  // namespace tessera::sched
