#include "sched/turns.h"

#include "sched/policy.h"

namespace tessera::sched {
namespace {

constexpr double kBegin = 1.03;      // what turns may take of the device, of what slices do
constexpr double kEnd = 1.08;        // likewise, once they have begun
constexpr double kLearning = 0.2;    // weight of one look
constexpr double kMuchDemand = 0.3;  // of the device: below, slices do nobody harm

}  // namespace

void Turns::look(const View& view, double demand, TimePoint now) {
  const std::size_t whole_group = view.device.groups() - 1;
  double slices = 0;
  double whole = 0;
  bool possible = demand > kMuchDemand && whole_group > 0;
  for (const auto& instance : view.instances) {
    possible = possible && instance->params->reserved_share <= 0;
    if (instance->is_refused() || instance->is_seldom_called(now)) {
      continue;
    }
    possible = possible && instance->table.known() && instance->params->slo && instance->params->max_share >= 1.0 &&
               !instance->only_slice;
    for (auto queue = instance->queues.begin(); possible && queue != instance->queues.end(); ++queue) {
      const double rate = instance->rate.per_second(now);
      const double rows = rate / static_cast<double>(instance->queues.size());
      const double in_slices = Targets::best_score(view, *queue->second, rate / demand, {0, whole_group});
      const double in_whole = Targets::best_score(view, *queue->second, rate / demand, {whole_group, whole_group + 1});
      possible = in_slices > 0 && in_whole > 0;
      slices += rows / in_slices;
      whole += rows / in_whole;
    }
  }
  if (!possible || slices <= 0) {
    on_ = false;
    ratio_ = 0;
    return;
  }
  ratio_ = ratio_ == 0 ? whole / slices : ratio_ + kLearning * (whole / slices - ratio_);
  on_ = ratio_ <= (on_ ? kEnd : kBegin);
}

}  // namespace tessera::sched
