// How long a request may wait, by what it and its model say: the same whether it waits for a device or for its model.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"
#include "sched/model_params.h"

namespace tessera::sched {

// The priority level of a request that states `priority`: the model's default where it states none or one there is not.
std::uint32_t level_of(const ModelParams& params, std::uint32_t priority);

const QueuePolicy& policy_of(const ModelParams& params, std::uint32_t level);

// From the arrival on. Immutable value.
struct Patience {
  Duration deadline = kForever;    // an answer after it has missed: the objective's, or a timeout's
  Duration ends = kForever;        // then the wait is over, with an error
  bool ends_by_objective = false;  // it is the objective that ends it, not a timeout
};

// `timeout`: the request's own.
Patience patience_of(const ModelParams& params, const QueuePolicy& policy, std::optional<Duration> timeout);

}  // namespace tessera::sched
