#include "sched/patience.h"

#include <algorithm>

namespace tessera::sched {

std::uint32_t level_of(const ModelParams& params, std::uint32_t priority) {
  const bool stated = priority > 0 && priority <= params.priority_levels;
  return stated ? priority : params.default_priority;
}

const QueuePolicy& policy_of(const ModelParams& params, std::uint32_t level) {
  const auto found = params.queue_policies.find(level);
  return found == params.queue_policies.end() ? params.default_queue_policy : found->second;
}

Patience patience_of(const ModelParams& params, const QueuePolicy& policy, std::optional<Duration> timeout) {
  Duration waits = timeout.value_or(kForever);
  if (policy.timeout_action == TimeoutAction::kReject) {
    waits = std::min(waits, policy.default_timeout);
  }
  const Duration slo = params.slo.value_or(kForever);
  const bool by_objective = params.slo_policy == SloPolicy::kReject && slo < waits;
  return {.deadline = std::min(slo, waits), .ends = by_objective ? slo : waits, .ends_by_objective = by_objective};
}

}  // namespace tessera::sched
