#include "sched/balance.h"

#include <algorithm>

namespace tessera::sched {
namespace {

constexpr double kGain = 60;       // parts of the objective for each share of requests: 0.6 for a hundredth
constexpr double kMostPart = 0.3;  // of the objective, to either side
constexpr double kBeyondHelp = 0.1;

}  // namespace

double Balance::part(double missed, double mean) {
  return missed > kBeyondHelp ? 0 : std::clamp(kGain * (missed - mean), -kMostPart, kMostPart);
}

void Balance::look(const View& view, TimePoint now) {
  double sum = 0;
  int count = 0;
  for (const auto& instance : view.instances) {
    if (instance->params->slo && !instance->is_idle(now) && instance->missed <= kBeyondHelp) {
      sum += instance->missed;
      ++count;
    }
  }
  mean_ = count > 0 ? sum / count : 0;
}

Duration Balance::lead(const Instance& instance) const {
  if (!instance.params->slo) {
    return Duration{0};
  }
  const double its = part(instance.missed, mean_);
  // What is reserved is not to be felt less because others miss.
  const double part = instance.params->reserved_share > 0 ? std::max(its, 0.0) : its;
  return Duration(static_cast<Duration::rep>(part * static_cast<double>(instance.params->slo->count())));
}

}  // namespace tessera::sched
