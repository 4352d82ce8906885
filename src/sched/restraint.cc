#include "sched/restraint.h"

#include <algorithm>
#include <cmath>

#include "sched/guard.h"

namespace tessera::sched {
namespace {

constexpr int kMuchTighter = 4;  // times: nobody whose own objective is close is to wait

}  // namespace

bool Restraint::is_much_tighter(const Instance& than, const Instance& instance) {
  return instance.params->slo && *than.params->slo <= *instance.params->slo / kMuchTighter;
}

void Restraint::look(const View& view, const Targets& targets, TimePoint now) {
  tight_.clear();
  asking_.clear();
  const double atoms_per_processor =
      static_cast<double>(view.device.shape().atoms()) / view.device.slice(view.device.whole()).processors;
  for (const auto& instance : view.instances) {
    if (!instance->params->slo || !instance->table.known() || instance->is_refused()) {
      continue;
    }
    for (const auto& [shape, queue] : instance->queues) {
      const Target& target = targets.last(*queue);
      if (target.known && target.score > 0) {
        asking_.push_back({instance.get(), view.predicted(*queue, target.bucket, target.group),
                           targets.processors_for(*queue, now) * atoms_per_processor});
      }
    }
    if (instance->spares < 1.0 && !instance->is_beyond_reach() && !instance->is_idle(now)) {
      const Duration latency = instance->table.fastest(0);
      const Duration margin = bounded_margin(instance->table.margin(), *instance->params->slo, latency);
      tight_.push_back({instance.get(), *instance->params->slo - latency - margin});
    }
  }
  for (Tight& tight : tight_) {
    for (const Asking& other : asking_) {
      if (other.run > tight.slack && is_much_tighter(*tight.instance, *other.instance)) {
        tight.asked += other.atoms;
      }
    }
  }
  std::erase_if(tight_, [](const Tight& tight) { return tight.asked <= 0; });
}

bool Restraint::allows(const View& view, const Instance& instance, const Slice& slice, TimePoint ends,
                       TimePoint now) const {
  return std::all_of(tight_.begin(), tight_.end(), [&](const Tight& tight) {
    const TimePoint back_by = now + tight.slack;
    if (ends <= back_by || !is_much_tighter(*tight.instance, instance)) {
      return true;
    }
    const std::uint16_t atoms = view.device.shape().atoms();
    std::uint16_t held = 0;
    for (std::uint16_t atom = 0; atom < atoms; ++atom) {
      held += slice.contains(atom) || view.device.atom_free_at(atom) > back_by ? 1 : 0;
    }
    return held <= std::lround(std::max(tight.asked, tight.instance->spares * atoms));
  });
}

}  // namespace tessera::sched
