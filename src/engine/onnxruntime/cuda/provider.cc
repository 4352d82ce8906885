#include "engine/onnxruntime/cuda/provider.h"

#include <array>
#include <memory>

namespace tessera::engine {
namespace {

struct ReleaseOptions {
  void operator()(OrtCUDAProviderOptionsV2* options) const { Ort::GetApi().ReleaseCUDAProviderOptions(options); }
};

const char* flag(bool on) { return on ? "1" : "0"; }

}  // namespace

std::string ProviderOptions::name() const {
  return std::string(channels_last ? "nhwc" : "nchw") + (fuse_conv_bias ? "+bias" : "");
}

void add_provider(const CudaParts& parts, const ProviderOptions& choice, Ort::SessionOptions& options) {
  const OrtApi& api = Ort::GetApi();
  OrtCUDAProviderOptionsV2* raw = nullptr;
  Ort::ThrowOnError(api.CreateCUDAProviderOptions(&raw));
  const std::unique_ptr<OrtCUDAProviderOptionsV2, ReleaseOptions> provider(raw);
  const std::string gpu = std::to_string(parts.gpu->ordinal());
  const std::array<const char*, 4> keys{"device_id", "prefer_nhwc", "fuse_conv_bias", "do_copy_in_default_stream"};
  const std::array<const char*, 4> values{gpu.c_str(), flag(choice.channels_last), flag(choice.fuse_conv_bias), "1"};
  Ort::ThrowOnError(api.UpdateCUDAProviderOptions(raw, keys.data(), values.data(), keys.size()));
  // Last: an update of the others would forget it.
  Ort::ThrowOnError(api.UpdateCUDAProviderOptionsWithValue(raw, "user_compute_stream", parts.device.build_stream()));
  options.AppendExecutionProvider_CUDA_V2(*raw);
}

Status check_provider(const CudaParts& parts) {
  const auto added = guarded(Blame::kUs, [&] {
    Ort::SessionOptions options = parts.environment->session_options();
    add_provider(parts, {}, options);
  });
  if (added.ok()) {
    return ok_status();
  }
  return unavailable(
      "ONNX Runtime's CUDA provider cannot be used: put libonnxruntime_providers_cuda.so and _shared.so of "
      "onnxruntime-gpu 1.29 beside libonnxruntime.so, and cuDNN 9 and CUDA 13's libraries on LD_LIBRARY_PATH (" +
      added.error().message() + ")");
}

OptimizedFor optimized_for(const CudaParts& parts, const ProviderOptions& choice) {
  return {.key = optimization_key("cuda " + parts.gpu->name() + " " + choice.name()),
          .prepare = [&parts, choice](Ort::SessionOptions& options) { add_provider(parts, choice, options); }};
}

}  // namespace tessera::engine
