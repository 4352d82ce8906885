#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "model/config_steps.h"
#include "model/live_params.h"

namespace tessera::model {
namespace {

constexpr std::array<std::string_view, 12> kKeys{
    "slo_ms",      "weight",        "reserved_share", "max_share",     "memory_limit_mb", "engine",
    "determinism", "shape_buckets", "slo_policy",     "reserved_lend", "evictable",       "convert_inputs"};

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

// What a parameter's own words say, with its place in the file.
Status in_parameters(const Status& status) {
  return status.ok() ? status : Error(status.error().code(), "parameters." + status.error().message());
}

Status read_determinism(const std::string& value, ModelConfig& config) {
  if (value != "off" && value != "slice" && value != "batch") {
    return in_parameters(wrong_param("determinism", "must be 'off', 'slice' or 'batch'", value));
  }
  config.determinism = value;
  if (value == "batch") {
    // An engine may compute batches of one size in another way than those of another.
    config.params.buckets = {config.params.buckets.back()};
  }
  return ok_status();
}

Status read_own(const std::string& key, const std::string& value, const ConfigDefaults& defaults, ModelConfig& config) {
  if (is_live_param(key)) {
    return in_parameters(set_live_param(key, value, config.params));
  }
  if (key == "memory_limit_mb") {
    const auto mb = param_number(key, value, 1, kMaxMemoryMb);
    if (!mb.ok()) return in_parameters(mb.error());
    config.memory_limit = Bytes{static_cast<std::uint64_t>(*mb * (1 << 20))};
  } else if (key == "engine") {
    if (value != defaults.engine) {
      return unsupported("parameters.engine: '" + value.substr(0, 80) + "' is not in this build, only '" +
                         defaults.engine + "'");
    }
  } else if (key == "determinism") {
    return read_determinism(value, config);
  } else if (key == "evictable") {
    const auto evictable = param_truth(key, value);
    if (!evictable.ok()) return in_parameters(evictable.error());
    config.evictable = *evictable;
  } else {
    TESSERA_CHECK(key == "convert_inputs" || key == "shape_buckets");  // read_input_forms(), read_shape_buckets()
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
  return in_parameters(
      check_live_params(params, defaults.policy_without_shares ? defaults.policy_without_shares() : ""));
}

}  // namespace tessera::model
