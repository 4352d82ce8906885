#include "model/live_params.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/check.h"
#include "model/config_steps.h"

namespace tessera::model {
namespace {

constexpr std::array<std::string_view, 6> kLive{"slo_ms",         "slo_policy",    "weight",
                                                "reserved_share", "reserved_lend", "max_share"};

constexpr double kMaxSloMs = 3'600'000;
constexpr double kMinSloMs = 0.001;
constexpr double kMaxWeight = 1e6;
constexpr double kMinMaxShare = 0.001;

// The shortest text that reads back as the same number.
std::string text_of(double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

}  // namespace

Error wrong_param(std::string_view name, std::string_view what, std::string_view value) {
  return invalid_argument(std::string(name) + ": " + std::string(what) + ", got '" + std::string(value.substr(0, 80)) +
                          "'");
}

Result<double> param_number(std::string_view name, const std::string& value, double lowest, double highest) {
  char* end = nullptr;
  const double parsed = std::strtod(value.c_str(), &end);
  const bool whole = !value.empty() && end == value.c_str() + value.size() &&
                     value.find_first_not_of("0123456789+-.eE") == std::string::npos;
  if (!whole || !std::isfinite(parsed) || parsed < lowest || parsed > highest) {
    std::array<char, 96> range{};
    std::snprintf(range.data(), range.size(), "must be a number from %g to %g", lowest, highest);
    return wrong_param(name, range.data(), value);
  }
  return parsed;
}

Result<bool> param_truth(std::string_view name, const std::string& value) {
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  return wrong_param(name, "must be true or false", value);
}

bool is_live_param(std::string_view name) { return std::find(kLive.begin(), kLive.end(), name) != kLive.end(); }

Status set_live_param(std::string_view name, const std::string& value, sched::LiveParams& params) {
  if (name == "slo_ms") {
    TESSERA_ASSIGN_OR_RETURN(const double ms, param_number(name, value, kMinSloMs, kMaxSloMs));
    params.slo = Duration(static_cast<Duration::rep>(std::llround(ms * 1e6)));
  } else if (name == "slo_policy") {
    if (value != "reject" && value != "best_effort") {
      return wrong_param(name, "must be 'reject' or 'best_effort'", value);
    }
    params.slo_policy = value == "reject" ? sched::SloPolicy::kReject : sched::SloPolicy::kBestEffort;
  } else if (name == "weight") {
    TESSERA_ASSIGN_OR_RETURN(params.weight, param_number(name, value, 1 / kMaxWeight, kMaxWeight));
  } else if (name == "reserved_share") {
    TESSERA_ASSIGN_OR_RETURN(params.reserved_share, param_number(name, value, 0, 1));
  } else if (name == "reserved_lend") {
    TESSERA_ASSIGN_OR_RETURN(params.reserved_lend, param_truth(name, value));
  } else {
    TESSERA_CHECK(name == "max_share");
    TESSERA_ASSIGN_OR_RETURN(params.max_share, param_number(name, value, kMinMaxShare, 1));
  }
  return ok_status();
}

Status check_live_params(const sched::LiveParams& params, std::string_view policy_without_shares) {
  if (params.reserved_share > params.max_share) {
    return invalid_argument("reserved_share: is larger than max_share");
  }
  if (policy_without_shares.empty()) {
    return ok_status();
  }
  const sched::LiveParams standard;
  const std::array<std::pair<std::string_view, bool>, 4> asked{{
      {"weight", params.weight != standard.weight},
      {"reserved_share", params.reserved_share != standard.reserved_share},
      {"reserved_lend", params.reserved_lend != standard.reserved_lend},
      {"max_share", params.max_share != standard.max_share},
  }};
  for (const auto& [name, differs] : asked) {
    if (differs) {
      return unsupported(std::string(name) + ": has no effect under the policy '" + std::string(policy_without_shares) +
                         "'");
    }
  }
  return ok_status();
}

Result<sched::LiveParams> with_changes(sched::LiveParams params, const ParamChanges& changes,
                                       std::string_view policy_without_shares) {
  for (const auto& [name, value] : changes) {
    if (!is_live_param(name)) {
      std::string known;
      for (const std::string_view live : kLive) known += (known.empty() ? "" : ", ") + std::string(live);
      return invalid_argument(name.substr(0, 80) +
                              ": no parameter that can change while the model serves; these can: " + known);
    }
    if (value) {
      TESSERA_RETURN_IF_ERROR(set_live_param(name, *value, params));
    } else if (name == "slo_ms") {
      params.slo.reset();
    } else {
      return invalid_argument(name + ": must have a value");
    }
  }
  TESSERA_RETURN_IF_ERROR(check_live_params(params, policy_without_shares));
  return params;
}

ParamChanges written_params(const sched::LiveParams& params) {
  ParamChanges out;
  out.emplace_back("slo_ms",
                   params.slo ? std::optional(text_of(static_cast<double>(params.slo->count()) / 1e6)) : std::nullopt);
  out.emplace_back("slo_policy", params.slo_policy == sched::SloPolicy::kReject ? "reject" : "best_effort");
  out.emplace_back("weight", text_of(params.weight));
  out.emplace_back("reserved_share", text_of(params.reserved_share));
  out.emplace_back("reserved_lend", params.reserved_lend ? "true" : "false");
  out.emplace_back("max_share", text_of(params.max_share));
  return out;
}

std::string memory_text(const std::map<std::string, engine::MemoryUse>& memory) {
  std::string text;
  for (const auto& [device, use] : memory) {
    text += (text.empty() ? "" : "; ") + device;
    text += " weights=" + std::to_string(use.weights.value);
    text += " packed=" + std::to_string(use.packed.value - std::min(use.packed.value, use.again.value));
    text += " packed_again=" + std::to_string(use.again.value);
    text += " working=" + std::to_string(use.working.value);
  }
  return text;
}

std::shared_ptr<const inference::ModelConfig> config_with(const ModelConfig& config, const sched::LiveParams& now,
                                                          const std::string& memory) {
  const sched::LiveParams& read = config.params;
  if (now == read && config.uncaptured.empty() && memory.empty()) {
    return config.proto;
  }
  auto shown = std::make_shared<inference::ModelConfig>(*config.proto);
  if (!config.uncaptured.empty()) {
    (*shown->mutable_parameters())["uncaptured"].set_string_value(config.uncaptured);
  }
  if (!memory.empty()) {
    (*shown->mutable_parameters())["memory_bytes"].set_string_value(memory);
  }
  const ParamChanges before = written_params(read);
  const ParamChanges after = written_params(now);
  auto& parameters = *shown->mutable_parameters();
  for (std::size_t i = 0; i < after.size(); ++i) {
    const auto& [name, value] = after[i];
    if (value == before[i].second) continue;
    if (value) {
      parameters[name].set_string_value(*value);
    } else {
      parameters.erase(name);
    }
  }
  if (!now.slo && now.slo_policy == sched::SloPolicy::kReject) {
    parameters.erase("slo_policy");  // which would ask for an objective
  }
  return shown;
}

}  // namespace tessera::model
