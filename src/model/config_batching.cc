#include <algorithm>
#include <set>

#include "model/config_steps.h"
#include "model/placement.h"

namespace tessera::model {
namespace {

// Longer waits are mistakes of units.
constexpr std::uint64_t kMaxWaitMicroseconds = std::uint64_t{24} * 3600 * 1'000'000;

Result<Duration> wait_of(std::uint64_t microseconds, const std::string& field) {
  if (microseconds > kMaxWaitMicroseconds) {
    return invalid_argument(field + ": is " + std::to_string(microseconds) + ", more than a day");
  }
  return Duration(std::chrono::microseconds(microseconds));
}

Result<sched::QueuePolicy> read_queue_policy(const inference::ModelQueuePolicy& proto, const std::string& field) {
  using Proto = inference::ModelQueuePolicy;
  if (!Proto::TimeoutAction_IsValid(proto.timeout_action())) {
    return invalid_argument(field + ".timeout_action: unknown number " + std::to_string(proto.timeout_action()));
  }
  sched::QueuePolicy policy;
  policy.max_queue_size = proto.max_queue_size();
  policy.timeout_action =
      proto.timeout_action() == Proto::DELAY ? sched::TimeoutAction::kDelay : sched::TimeoutAction::kReject;
  if (proto.default_timeout_microseconds() > 0) {
    TESSERA_ASSIGN_OR_RETURN(policy.default_timeout,
                             wait_of(proto.default_timeout_microseconds(), field + ".default_timeout_microseconds"));
  }
  return policy;
}

Status read_priorities(const inference::ModelDynamicBatching& proto, sched::ModelParams& params) {
  if (proto.priority_levels() > kMaxPriorityLevels) {
    return invalid_argument("dynamic_batching.priority_levels: must be at most " + std::to_string(kMaxPriorityLevels) +
                            ", got " + std::to_string(proto.priority_levels()));
  }
  const std::uint64_t levels = proto.priority_levels();
  const std::uint64_t by_default = proto.default_priority_level();
  if (levels == 0 ? by_default != 0 : by_default == 0 || by_default > levels) {
    return invalid_argument("dynamic_batching.default_priority_level: must lie between 1 and priority_levels (" +
                            std::to_string(levels) + "), got " + std::to_string(by_default));
  }
  params.priority_levels = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, levels));
  params.default_priority = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, by_default));
  for (const auto& [level, policy] : proto.priority_queue_policy()) {
    const std::string field = "dynamic_batching.priority_queue_policy[" + std::to_string(level) + "]";
    if (level == 0 || level > levels) {
      return invalid_argument(field + ": there is no such level, priority_levels is " + std::to_string(levels));
    }
    TESSERA_ASSIGN_OR_RETURN(params.queue_policies[static_cast<std::uint32_t>(level)],
                             read_queue_policy(policy, field));
  }
  return ok_status();
}

// Priorities and put-back requests change the order; as in Triton, that and preserve_ordering exclude each other.
Status check_ordering(const sched::ModelParams& params) {
  if (!params.preserve_ordering) {
    return ok_status();
  }
  const auto puts_back = [](const sched::QueuePolicy& policy) {
    return policy.timeout_action == sched::TimeoutAction::kDelay && policy.default_timeout != kForever;
  };
  if (params.priority_levels > 1) {
    return invalid_argument("dynamic_batching.preserve_ordering: allows one level in priority_levels, got " +
                            std::to_string(params.priority_levels));
  }
  if (puts_back(params.default_queue_policy) ||
      std::any_of(params.queue_policies.begin(), params.queue_policies.end(),
                  [&](const auto& level) { return puts_back(level.second); })) {
    return invalid_argument("dynamic_batching.preserve_ordering: no queue policy may have timeout_action DELAY");
  }
  return ok_status();
}

}  // namespace

Status read_batching(const inference::ModelConfig& proto, sched::ModelParams& params) {
  if (!proto.has_dynamic_batching()) {
    return ok_status();
  }
  const auto& batching = proto.dynamic_batching();
  // As in Triton, a model without a batch dimension keeps its queue settings, and nothing is ever joined.
  params.dynamic_batching = proto.max_batch_size() > 0;
  params.preserve_ordering = batching.preserve_ordering();
  std::set<std::int32_t> preferred;
  for (const std::int32_t size : batching.preferred_batch_size()) {
    if (size < 1 || size > proto.max_batch_size()) {
      return invalid_argument("dynamic_batching.preferred_batch_size: each must lie between 1 and max_batch_size (" +
                              std::to_string(proto.max_batch_size()) + "), got " + std::to_string(size));
    }
    preferred.insert(size);
  }
  if (preferred.size() > 64) {
    return invalid_argument("dynamic_batching.preferred_batch_size: more than 64 sizes");
  }
  params.preferred_batch_sizes.assign(preferred.begin(), preferred.end());
  TESSERA_ASSIGN_OR_RETURN(params.max_queue_delay, wait_of(batching.max_queue_delay_microseconds(),
                                                           "dynamic_batching.max_queue_delay_microseconds"));
  TESSERA_ASSIGN_OR_RETURN(params.default_queue_policy,
                           read_queue_policy(batching.default_queue_policy(), "dynamic_batching.default_queue_policy"));
  TESSERA_RETURN_IF_ERROR(read_priorities(batching, params));
  return check_ordering(params);
}

std::vector<std::int32_t> bucket_sizes(std::int32_t max_batch_size, const std::vector<std::int32_t>& preferred) {
  std::set<std::int32_t> sizes{1};
  for (std::int32_t size = 1; size < max_batch_size; size *= 2) {
    sizes.insert(size);
  }
  if (max_batch_size > 0) {
    sizes.insert(max_batch_size);
    sizes.insert(preferred.begin(), preferred.end());
  }
  return {sizes.begin(), sizes.end()};
}

Result<std::uint16_t> complete_instances(std::string_view name, const ConfigDefaults& defaults,
                                         inference::ModelConfig& completed) {
  using Group = inference::ModelInstanceGroup;
  if (completed.instance_group_size() == 0) {
    completed.add_instance_group()->set_name(std::string(name));
  }
  // Checked here as well, since a configuration may be completed without being loaded.
  if (const auto wished = wished_devices(completed, defaults.devices()); !wished.ok()) return wished.error();
  std::int64_t lanes = 0;
  for (int i = 0; i < completed.instance_group_size(); ++i) {
    Group& group = *completed.mutable_instance_group(i);
    const std::string field = "instance_group[" + std::to_string(i) + "]";
    if (!Group::Kind_IsValid(group.kind())) {
      return invalid_argument(field + ".kind: unknown number " + std::to_string(group.kind()));
    }
    if (group.count() < 0 || group.count() > kMaxLanes) {
      return invalid_argument(field + ".count: must lie between 1 and " + std::to_string(kMaxLanes) + ", got " +
                              std::to_string(group.count()));
    }
    if (group.count() == 0) group.set_count(kDefaultLanes);
    if (group.name().empty()) group.set_name(std::string(name) + "_" + std::to_string(i));
    group.set_kind(defaults.device_kind == "host" ? Group::KIND_CPU : Group::KIND_GPU);
    lanes += group.count();
    if (lanes > kMaxLanes) {
      return invalid_argument("instance_group: " + std::to_string(lanes) + " instances in all, at most " +
                              std::to_string(kMaxLanes) + " are possible");
    }
  }
  return static_cast<std::uint16_t>(lanes);
}

Result<VersionPolicy> read_version_policy(const inference::ModelConfig& proto) {
  using Proto = inference::ModelVersionPolicy;
  const Proto& written = proto.version_policy();
  VersionPolicy policy;
  switch (written.policy_choice_case()) {
    case Proto::POLICY_CHOICE_NOT_SET:
      return policy;
    case Proto::kAll:
      policy.kind = VersionPolicy::Kind::kAll;
      return policy;
    case Proto::kLatest:
      policy.latest = std::max<std::uint32_t>(1, written.latest().num_versions());
      if (policy.latest > kMaxVersions) {
        return invalid_argument("version_policy.latest.num_versions: must be at most " + std::to_string(kMaxVersions));
      }
      return policy;
    case Proto::kSpecific:
      break;
  }
  policy.kind = VersionPolicy::Kind::kSpecific;
  std::set<std::int64_t> versions;
  for (const std::int64_t version : written.specific().versions()) {
    if (version < 1) {
      return invalid_argument("version_policy.specific.versions: each must be at least 1, got " +
                              std::to_string(version));
    }
    versions.insert(version);
  }
  if (versions.empty() || versions.size() > kMaxVersions) {
    return invalid_argument("version_policy.specific.versions: must name 1 to " + std::to_string(kMaxVersions));
  }
  policy.specific.assign(versions.begin(), versions.end());
  return policy;
}

}  // namespace tessera::model
