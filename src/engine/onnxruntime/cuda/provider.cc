#include "engine/onnxruntime/cuda/provider.h"

#include <onnxruntime_session_options_config_keys.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

namespace tessera::engine {
namespace {

struct ReleaseOptions {
  void operator()(OrtCUDAProviderOptionsV2* options) const { Ort::GetApi().ReleaseCUDAProviderOptions(options); }
};

const char* flag(bool on) { return on ? "1" : "0"; }

struct Setting {
  const char* key;
  const char* value;
};
// What is the same for all sessions.
constexpr std::array kAlways{Setting{"do_copy_in_default_stream", "1"}};

}  // namespace

std::string ProviderOptions::name() const {
  return std::string(channels_last ? "nhwc" : "nchw") + (fuse_conv_bias ? "+bias" : "") +
         (timed_search ? "" : "+rules");
}

std::optional<ProviderOptions> ProviderOptions::from(std::string_view name) {
  for (int bits = 0; bits < 8; ++bits) {
    const ProviderOptions options{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
    if (options.name() == name) {
      return options;
    }
  }
  return std::nullopt;
}

std::span<const ProviderOptions> tried_options() {
  static constexpr std::array kTried{ProviderOptions{}, ProviderOptions{.fuse_conv_bias = true}};
  return kTried;
}

std::string provider_settings() {
  std::string text;
  for (const ProviderOptions& choice : tried_options()) {
    text += (text.empty() ? "" : " ") + choice.name();
  }
  for (const Setting& setting : kAlways) {
    text += std::string(" ") + setting.key + "=" + setting.value;
  }
  return text;
}

void add_provider(const CudaParts& parts, CUstream stream, const ProviderOptions& choice,
                  Ort::SessionOptions& options) {
  const OrtApi& api = Ort::GetApi();
  OrtCUDAProviderOptionsV2* raw = nullptr;
  Ort::ThrowOnError(api.CreateCUDAProviderOptions(&raw));
  const std::unique_ptr<OrtCUDAProviderOptionsV2, ReleaseOptions> provider(raw);
  const std::string gpu = std::to_string(parts.gpu->ordinal());
  std::vector<const char*> keys{"device_id", "prefer_nhwc", "fuse_conv_bias", "cudnn_conv_algo_search"};
  std::vector<const char*> values{gpu.c_str(), flag(choice.channels_last), flag(choice.fuse_conv_bias),
                                  choice.timed_search ? "EXHAUSTIVE" : "HEURISTIC"};
  for (const Setting& setting : kAlways) {
    keys.push_back(setting.key);
    values.push_back(setting.value);
  }
  Ort::ThrowOnError(api.UpdateCUDAProviderOptions(raw, keys.data(), values.data(), keys.size()));
  // Last: an update of the others would forget it.
  Ort::ThrowOnError(api.UpdateCUDAProviderOptionsWithValue(raw, "user_compute_stream", stream));
  // So that an allocator can tell initialisers from what else is kept (SessionSource).
  options.AddConfigEntry(kOrtSessionOptionsUseDeviceAllocatorForInitializers, "1");
  options.AppendExecutionProvider_CUDA_V2(*raw);
}

Status check_provider(const CudaParts& parts) {
  const auto added = guarded(Blame::kUs, [&] {
    Ort::SessionOptions options = parts.environment->session_options();
    add_provider(parts, parts.device.build_stream(), {}, options);
  });
  if (added.ok()) {
    return ok_status();
  }
  // What ONNX Runtime says may end with a line's end.
  std::string cause = added.error().message();
  std::replace(cause.begin(), cause.end(), '\n', ' ');
  cause.resize(cause.find_last_not_of(' ') + 1);
  return unavailable(
      "ONNX Runtime's CUDA provider cannot be used: put libonnxruntime_providers_cuda.so and _shared.so of "
      "onnxruntime-gpu 1.29 beside libonnxruntime.so, and cuDNN 9 and CUDA 13's libraries on LD_LIBRARY_PATH (" +
      cause + ")");
}

OptimizedFor optimized_for(const CudaParts& parts, const ProviderOptions& choice) {
  return {.key = optimization_key("cuda " + parts.gpu->name() + " " + choice.name()),
          .prepare = [&parts, choice](Ort::SessionOptions& options) {
            add_provider(parts, parts.device.build_stream(), choice, options);
          }};
}

}  // namespace tessera::engine
