// What the scheduler has to know of a model instance: its objective, its entitlement, and how it may be batched.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace tessera::sched {

enum class SloPolicy {
  kReject,      // answered with a reason as soon as the deadline cannot be met, at the latest at the deadline
  kBestEffort,  // the SLO orders and counts; only the request's timeout ends a wait
};

enum class TimeoutAction {
  kReject,  // the wait ends with "Request timeout expired"
  kDelay,   // the request stays, behind all that have not timed out
};

// Triton's ModelQueuePolicy, one per priority level.
struct QueuePolicy {
  std::uint32_t max_queue_size = 0;  // waiting requests; 0: only the scheduler's own bound
  Duration default_timeout = kForever;
  TimeoutAction timeout_action = TimeoutAction::kReject;
};

// What may change while an instance serves (ParamsChanged).
struct LiveParams {
  std::optional<Duration> slo;
  SloPolicy slo_policy = SloPolicy::kReject;
  double weight = 1.0;
  double reserved_share = 0.0;  // 0..1 of the device's atoms
  bool reserved_lend = true;
  double max_share = 1.0;

  bool operator==(const LiveParams&) const = default;
};

// The rest is immutable per instance; a reload makes a new instance.
struct ModelParams : LiveParams {
  std::string name;                   // for logs and errors
  std::int32_t max_batch_size = 0;    // rows; 0: one request a run
  std::vector<std::int32_t> buckets;  // ascending: 1, 2, 4, ..., max and the preferred sizes; {1} without batching
  std::uint16_t lanes = 2;

  bool dynamic_batching = false;  // whether requests may be joined at all
  Duration max_queue_delay{0};    // exact under temporal; an upper limit of holding under tessera
  std::vector<std::int32_t> preferred_batch_sizes;
  bool preserve_ordering = false;

  std::uint32_t priority_levels = 1;  // 1..levels, 1 the highest
  std::uint32_t default_priority = 1;
  QueuePolicy default_queue_policy;
  std::map<std::uint32_t, QueuePolicy> queue_policies;  // by priority level
};

}  // namespace tessera::sched
