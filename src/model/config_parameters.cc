#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "model/config_steps.h"

namespace tessera::model {
namespace {

constexpr std::array<std::string_view, 11> kKeys{"slo_ms",          "weight",        "reserved_share", "max_share",
                                                 "memory_limit_mb", "engine",        "determinism",    "shape_buckets",
                                                 "slo_policy",      "reserved_lend", "evictable"};

constexpr double kMaxSloMs = 3'600'000;
constexpr double kMinSloMs = 0.001;
constexpr double kMaxWeight = 1e6;
constexpr double kMaxMemoryMb = 1 << 24;

// Settings of Triton's ONNX Runtime backend with the values that are what happens here anyway.
struct BackendSetting {
  std::string_view key;
  std::string_view accepted;  // between spaces
  std::string_view why;
};
constexpr std::array kBackendSettings{
    BackendSetting{"intra_op_thread_count", " 0 ", "the cores of the slice decide it for every batch"},
    BackendSetting{"inter_op_thread_count", " 0 1 ", "nodes run one after the other"},
    BackendSetting{"execution_mode", " 0 ", "nodes run one after the other"},
    BackendSetting{"enable_mem_arena", " 1 ", "memory is always kept for the next run"},
    BackendSetting{"enable_mem_pattern", " 1 ", "memory is always planned ahead"},
    BackendSetting{"memory.enable_memory_arena_shrinkage", "", "memory is kept for the next run; use memory_limit_mb"},
    BackendSetting{"gpu_mem_limit", "", "use memory_limit_mb"},
    BackendSetting{"arena_extend_strategy", "", "this build does not offer the choice"},
    BackendSetting{"cudnn_conv_algo_search", "", "this build does not offer the choice"},
    BackendSetting{"cudnn_conv_use_max_workspace", "", "this build does not offer the choice"},
    BackendSetting{"do_copy_in_default_stream", "", "this build does not offer the choice"},
};

Error wrong(std::string_view key, std::string_view what, std::string_view value) {
  return invalid_argument("parameters." + std::string(key) + ": " + std::string(what) + ", got '" +
                          std::string(value.substr(0, 80)) + "'");
}

// The lowest and highest value allowed, both included.
Result<double> number(std::string_view key, const std::string& value, double lowest, double highest) {
  char* end = nullptr;
  const double parsed = std::strtod(value.c_str(), &end);
  const bool whole = !value.empty() && end == value.c_str() + value.size() &&
                     value.find_first_not_of("0123456789+-.eE") == std::string::npos;
  if (!whole || !std::isfinite(parsed) || parsed < lowest || parsed > highest) {
    char range[96];
    std::snprintf(range, sizeof range, "must be a number from %g to %g", lowest, highest);
    return wrong(key, range, value);
  }
  return parsed;
}

Result<bool> truth(std::string_view key, const std::string& value) {
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  return wrong(key, "must be true or false", value);
}

Status read_slo_policy(const std::string& value, sched::ModelParams& params) {
  if (value == "best_effort") {
    params.slo_policy = sched::SloPolicy::kBestEffort;
  } else if (value != "reject") {
    return wrong("slo_policy", "must be 'reject' or 'best_effort'", value);
  }
  return ok_status();
}

Status read_determinism(const std::string& value, ModelConfig& config) {
  if (value != "off" && value != "slice" && value != "batch") {
    return wrong("determinism", "must be 'off', 'slice' or 'batch'", value);
  }
  config.determinism = value;
  if (value == "batch") {
    // An engine may compute batches of one size in another way than those of another.
    config.params.buckets = {config.params.buckets.back()};
  }
  return ok_status();
}

Status read_own(const std::string& key, const std::string& value, const ConfigDefaults& defaults, ModelConfig& config) {
  sched::ModelParams& params = config.params;
  if (key == "slo_ms") {
    TESSERA_ASSIGN_OR_RETURN(const double ms, number(key, value, kMinSloMs, kMaxSloMs));
    params.slo = Duration(static_cast<Duration::rep>(std::llround(ms * 1e6)));
  } else if (key == "weight") {
    TESSERA_ASSIGN_OR_RETURN(params.weight, number(key, value, 1 / kMaxWeight, kMaxWeight));
  } else if (key == "reserved_share") {
    TESSERA_ASSIGN_OR_RETURN(params.reserved_share, number(key, value, 0, 1));
  } else if (key == "max_share") {
    TESSERA_ASSIGN_OR_RETURN(params.max_share, number(key, value, 0.001, 1));
  } else if (key == "memory_limit_mb") {
    TESSERA_ASSIGN_OR_RETURN(const double mb, number(key, value, 1, kMaxMemoryMb));
    config.memory_limit = Bytes{static_cast<std::uint64_t>(mb * (1 << 20))};
  } else if (key == "engine") {
    if (value != defaults.engine) {
      return unsupported("parameters.engine: '" + value.substr(0, 80) + "' is not in this build, only '" +
                         defaults.engine + "'");
    }
  } else if (key == "determinism") {
    return read_determinism(value, config);
  } else if (key == "shape_buckets") {
    return unsupported("parameters.shape_buckets: not offered by this build; requests of one shape are joined");
  } else if (key == "slo_policy") {
    return read_slo_policy(value, params);
  } else if (key == "evictable") {
    TESSERA_ASSIGN_OR_RETURN(config.evictable, truth(key, value));
  } else {
    TESSERA_CHECK(key == "reserved_lend");
    TESSERA_ASSIGN_OR_RETURN(params.reserved_lend, truth(key, value));
  }
  return ok_status();
}

// What the device's policy does not heed may only be what happens anyway.
Status refuse_shares(const sched::ModelParams& params, const std::string& policy) {
  const sched::ModelParams standard;
  const std::array<std::pair<std::string_view, bool>, 4> asked{{
      {"weight", params.weight != standard.weight},
      {"reserved_share", params.reserved_share != standard.reserved_share},
      {"reserved_lend", params.reserved_lend != standard.reserved_lend},
      {"max_share", params.max_share != standard.max_share},
  }};
  for (const auto& [key, differs] : asked) {
    if (differs) {
      return unsupported("parameters." + std::string(key) + ": has no effect under the policy '" + policy + "'");
    }
  }
  return ok_status();
}

// Letters and digits alone, in lower case: how two spellings of one key compare.
std::string bare(std::string_view key) {
  std::string letters;
  for (const char c : key) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  return letters;
}

// Whether one letter changed, left out, added or swapped with its neighbour makes `a` out of `b`.
bool one_slip_apart(std::string_view a, std::string_view b) {
  if (a.size() < b.size()) std::swap(a, b);
  std::size_t same = 0;
  while (same < b.size() && a[same] == b[same]) ++same;
  const std::string_view x = a.substr(same);
  const std::string_view y = b.substr(same);
  if (x.empty()) return true;
  if (a.size() == b.size() + 1) return x.substr(1) == y;
  if (a.size() != b.size()) return false;
  if (x.substr(1) == y.substr(1)) return true;
  return x.size() >= 2 && x[0] == y[1] && x[1] == y[0] && x.substr(2) == y.substr(2);
}

// A key of ours that `key` was probably meant to be.
std::optional<std::string_view> meant(std::string_view key) {
  const std::string letters = bare(key);
  for (const std::string_view ours : kKeys) {
    if (letters == "slo" || one_slip_apart(letters, bare(ours))) {
      return letters == "slo" ? "slo_ms" : ours;
    }
  }
  return std::nullopt;
}

Status read_foreign(const std::string& key, const std::string& value) {
  for (const BackendSetting& setting : kBackendSettings) {
    if (setting.key == key && setting.accepted.find(" " + value + " ") == std::string_view::npos) {
      return unsupported("parameters." + key + ": '" + value.substr(0, 80) +
                         "' cannot be honoured: " + std::string(setting.why));
    }
    if (setting.key == key) return ok_status();
  }
  if (const auto ours = meant(key)) {
    return invalid_argument("parameters." + key.substr(0, 80) + ": unknown; is '" + std::string(*ours) + "' meant?");
  }
  return ok_status();
}

}  // namespace

// A key that neither is ours nor looks like a slip of one is the user's own and kept, as Triton does.
Status read_parameters(const inference::ModelConfig& proto, const ConfigDefaults& defaults, ModelConfig& config) {
  sched::ModelParams& params = config.params;
  params.slo = defaults.slo;
  bool says_reject = false;
  for (const auto& [key, parameter] : proto.parameters()) {
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
      TESSERA_RETURN_IF_ERROR(read_foreign(key, parameter.string_value()));
      continue;
    }
    TESSERA_RETURN_IF_ERROR(read_own(key, parameter.string_value(), defaults, config));
    says_reject = says_reject || (key == "slo_policy" && parameter.string_value() == "reject");
  }
  if (says_reject && !params.slo) {
    return invalid_argument("parameters.slo_policy: 'reject' needs parameters.slo_ms");
  }
  if (params.reserved_share > params.max_share) {
    return invalid_argument("parameters.reserved_share: is larger than max_share");
  }
  return defaults.policy_without_shares.empty() ? ok_status() : refuse_shares(params, defaults.policy_without_shares);
}

}  // namespace tessera::model
