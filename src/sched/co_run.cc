#include "sched/co_run.h"

#include <algorithm>

namespace tessera::sched {
namespace {

constexpr double kForget = 0.002;     // weight of one run in what is kept of all
constexpr double kForgetSize = 0.02;  // and in the means of its size
constexpr double kSteepest = 1;       // nobody takes more than twice as long beside others in slices of their own
constexpr double kLeastSpread = 1;    // a sum of squares not far above tells little: it pulls the slope towards none
constexpr double kFarthest = 4;       // a ratio further off tells of other things

}  // namespace

void CoRun::observe(std::size_t size, double busy, double ratio) {
  ratio = std::clamp(ratio, 1 / kFarthest, kFarthest);
  if (sizes_.size() <= size) {
    sizes_.resize(size + 1);
  }
  Size& own = sizes_[size];
  own.seen += 1;
  const double weight = std::max(kForgetSize, 1 / own.seen);
  const double off_busy = busy - own.busy;
  const double off_ratio = ratio - own.ratio;
  own.busy += weight * off_busy;
  own.ratio += weight * off_ratio;
  seen_ += 1;
  const double of_all = std::max(kForget, 1 / seen_);
  busy_ += of_all * (busy - busy_);
  ratio_ += of_all * (ratio - ratio_);
  if (own.seen < 2) {
    return;
  }
  spread_ += off_busy * off_busy - kForget * spread_;
  shared_ += off_busy * off_ratio - kForget * shared_;
  // ratio = alone * (1 + slope * busy), where `alone` is how far off the predictions of runs alone still are.
  const double rise = shared_ / (spread_ + kLeastSpread);
  const double alone = std::max(1 / kFarthest, ratio_ - rise * busy_);
  slope_ = std::clamp(rise / alone, 0.0, kSteepest);
}

}  // namespace tessera::sched
