#include "measure/first_answer.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "base/clock.h"
#include "engine/onnxruntime/environment.h"
#include "measure/models.h"
#include "measure/numbers.h"

namespace tessera::measure {
namespace {

Result<double> ours(device::CudaDevice& device, engine::Engine& engine, const std::filesystem::path& repository,
                    const std::string& name) {
  const Slice whole = device.shape().whole();
  const TimePoint begin = now();
  TESSERA_ASSIGN_OR_RETURN(const auto model, Model::load(device, engine, repository, name, 1, {1}));
  TESSERA_ASSIGN_OR_RETURN(const Loop loop, model->loop(1, {0}, whole));
  TESSERA_RETURN_IF_ERROR(device.run_borrowed(*loop.plan, whole, *loop.batch));
  return ms(now() - begin);
}

struct ReleaseOptions {
  void operator()(OrtCUDAProviderOptionsV2* options) const { Ort::GetApi().ReleaseCUDAProviderOptions(options); }
};

// What an application would write: its own stream and memory, inputs and outputs in the host's memory.
double plain(const engine::Environment& environment, int gpu, const std::filesystem::path& file) {
  const OrtApi& api = Ort::GetApi();
  OrtCUDAProviderOptionsV2* raw = nullptr;
  Ort::ThrowOnError(api.CreateCUDAProviderOptions(&raw));
  const std::unique_ptr<OrtCUDAProviderOptionsV2, ReleaseOptions> provider(raw);
  const std::string number = std::to_string(gpu);
  const std::array<const char*, 2> keys{"device_id", "prefer_nhwc"};
  const std::array<const char*, 2> values{number.c_str(), "1"};
  Ort::ThrowOnError(api.UpdateCUDAProviderOptions(raw, keys.data(), values.data(), keys.size()));
  const TimePoint begin = now();
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  options.AppendExecutionProvider_CUDA_V2(*provider);
  Ort::Session session(environment.env(), file.c_str(), options);
  const Ort::AllocatorWithDefaultOptions allocator;
  std::vector<Ort::AllocatedStringPtr> names;
  std::vector<Ort::Value> inputs;
  for (std::size_t i = 0; i < session.GetInputCount(); ++i) {
    const auto type = session.GetInputTypeInfo(i);
    auto shape = type.GetTensorTypeAndShapeInfo().GetShape();
    std::replace(shape.begin(), shape.end(), std::int64_t{-1}, std::int64_t{1});
    names.push_back(session.GetInputNameAllocated(i, allocator));
    inputs.push_back(Ort::Value::CreateTensor(allocator, shape.data(), shape.size(),
                                              type.GetTensorTypeAndShapeInfo().GetElementType()));
  }
  std::vector<const char*> input_names;
  input_names.reserve(names.size());
  for (const auto& name : names) {
    input_names.push_back(name.get());
  }
  const auto output = session.GetOutputNameAllocated(0, allocator);
  const char* const output_name = output.get();
  static_cast<void>(session.Run({}, input_names.data(), inputs.data(), inputs.size(), &output_name, 1));
  return ms(now() - begin);
}

std::string numbers(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) {
    std::array<char, 32> one{};
    std::snprintf(one.data(), one.size(), "%s%.1f", text.empty() ? "" : ",", value);
    text += one.data();
  }
  return "[" + text + "]";
}

}  // namespace

double FirstAnswer::ratio() const {
  const double base = median(plain_ms);
  return base > 0 ? median(ours_ms) / base : 0;
}

std::string to_json(const FirstAnswer& result) {
  return "{\"model\":\"" + result.model + "\",\"ours_ms\":" + numbers(result.ours_ms) +
         ",\"plain_ms\":" + numbers(result.plain_ms) + ",\"ratio\":" + std::to_string(result.ratio()) + "}";
}

Result<FirstAnswer> first_answer(device::CudaDevice& device, engine::Engine& engine,
                                 const std::filesystem::path& repository, const std::string& model, int rounds) {
  TESSERA_ASSIGN_OR_RETURN(const auto environment, engine::Environment::create());
  FirstAnswer result{.model = model, .ours_ms = {}, .plain_ms = {}};
  for (int round = -1; round < rounds; ++round) {
    const auto other = engine::guarded(engine::Blame::kUs, [&] {
      return plain(*environment, device.gpu()->ordinal(), repository / model / "1" / "model.onnx");
    });
    if (!other.ok()) {
      return other.error();
    }
    TESSERA_ASSIGN_OR_RETURN(const double own, ours(device, engine, repository, model));
    if (round >= 0) {
      result.plain_ms.push_back(*other);
      result.ours_ms.push_back(own);
    }
  }
  return result;
}

}  // namespace tessera::measure
