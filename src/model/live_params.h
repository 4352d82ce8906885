// What of a model's configuration may change while it serves, by its names in config.pbtxt: slo_ms, slo_policy, weight,
// reserved_share, reserved_lend, max_share.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "model/config.h"
#include "sched/model_params.h"

namespace tessera::model {

// Names with values as config.pbtxt writes them; nothing: as if the entry were not there, which slo_ms alone permits.
using ParamChanges = std::vector<std::pair<std::string, std::optional<std::string>>>;

bool is_live_param(std::string_view name);

// Error, of all here: kInvalidArgument or kUnsupported with the parameter's name in front. `name` is one of the above.
Status set_live_param(std::string_view name, const std::string& value, sched::LiveParams& params);

// Whether they go together. `policy_without_shares`: the name of the scheduler's policy where it heeds neither weights
// nor shares, which then have to be what happens anyway; else empty.
Status check_live_params(const sched::LiveParams& params, std::string_view policy_without_shares);

// The parameters as they would be after the changes. Error also for names that are unknown or cannot change.
Result<sched::LiveParams> with_changes(sched::LiveParams params, const ParamChanges& changes,
                                       std::string_view policy_without_shares);

// All of them, as config.pbtxt would write them; slo_ms without a value where there is no objective.
ParamChanges written_params(const sched::LiveParams& params);

// What a model holds, by device, as its configuration shows it: "cuda:0 weights=51380224 packed=0 packed_again=0
// working=9437184", in bytes, one after the other; parts are disjoint.
std::string memory_text(const std::map<std::string, engine::MemoryUse>& memory);

// The configuration with what has changed since it was read, why the model runs uncaptured, where it does, and what it
// holds (memory_text(); empty: nothing is said).
std::shared_ptr<const inference::ModelConfig> config_with(const ModelConfig& config, const sched::LiveParams& now,
                                                          const std::string& memory = {});

// A number of a parameter, the lowest and highest value included.
Result<double> param_number(std::string_view name, const std::string& value, double lowest, double highest);
Result<bool> param_truth(std::string_view name, const std::string& value);
Error wrong_param(std::string_view name, std::string_view what, std::string_view value);

}  // namespace tessera::model
