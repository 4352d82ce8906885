#include "sched/lending.h"

#include <algorithm>
#include <cmath>

namespace tessera::sched {

void Lending::look(const View& view, double demand, TimePoint now) {
  part_ = std::max(0.0, 1.0 - demand);
  for (const auto& instance : view.instances) {
    // Nothing that others leave would help a model whose objective cannot be met.
    if (instance->params->slo && !instance->is_beyond_reach() && !instance->is_idle(now)) {
      part_ = std::min(part_, instance->spares);
    }
  }
}

std::size_t Lending::groups_end(const View& view, const Instance& instance, TimePoint now) const {
  const auto add_up = [&](const auto& of) {
    decltype(of(instance)) sum = 0;
    for (const auto& other : view.instances) {
      sum += !other->params->slo && other->params->reserved_share <= 0 ? of(*other) : 0;
    }
    return sum;
  };
  const std::uint32_t held = add_up([](const Instance& other) { return other.atoms_held; });
  auto atoms = static_cast<std::uint32_t>(std::lround(part_ * view.device.shape().atoms()));
  if (atoms == 0) {
    const double used = add_up([&](const Instance& other) { return other.service.per_second(now); });
    atoms = used < part_ * view.device.group_processors(view.device.groups() - 1) ? 1 : 0;
  }
  std::size_t end = instance.groups.end;
  while (end > instance.groups.first &&
         held + view.device.slice(view.device.group_slices(end - 1).front()).slice.count > atoms) {
    --end;
  }
  return end;
}

}  // namespace tessera::sched
