// Models of a repository, loaded on a device without a service: for measurements that launch plans themselves.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/onnxruntime/cuda/trial_batch.h"
#include "measure/loops.h"

namespace tessera::measure {

using InputForms = std::map<std::string, engine::InputForm>;

// Which inputs of the model in `folder` its own configuration has converted, and from what, where the engine does such
// things; none where it does not, or nothing says so. Error: the configuration's.
Result<InputForms> input_forms_of(engine::Engine& engine, const std::filesystem::path& folder);
// The file as requests see it.
engine::FileSignature as_given(const engine::FileSignature& file, const InputForms& forms);

struct ModelOptions {
  std::optional<Slice> uncaptured_in;  // launched kernel by kernel, there, with inputs as the file has them
  std::string digest;         // of what the file stands for, where another load of it is to be known as the same
  bool timed_choices = true;  // else algorithms are chosen by rules
  bool as_in_file = false;    // else inputs come as the model's configuration says
};

// A loaded model. Owned by the loader thread.
class Model {
 public:
  static constexpr std::uint16_t kLanes = 4;

  // `instance`: of all models that run at once, each has another.
  static Result<std::unique_ptr<Model>> load(device::Device& device, engine::Engine& engine,
                                             const std::filesystem::path& repository, const std::string& name,
                                             std::int32_t max_batch_size, InstanceId instance,
                                             const ModelOptions& how = {});

  engine::LoadedModel& loaded() { return *loaded_; }
  // A full batch of made-up rows; lives as long as the model.
  Result<Batch*> batch(std::int32_t rows);
  // In closed loop on that slice, homed there.
  Result<Loop> loop(std::int32_t rows, LaneIndex lane, const Slice& slice);

 private:
  Model(device::Device& device, std::unique_ptr<engine::LoadedModel> loaded, InputForms forms, InstanceId instance)
      : device_(device), loaded_(std::move(loaded)), forms_(std::move(forms)), instance_(instance) {}

  device::Device& device_;
  const std::unique_ptr<engine::LoadedModel> loaded_;
  const InputForms forms_;
  const InstanceId instance_;
  std::vector<std::unique_ptr<engine::TrialBatch>> batches_;
};

// The bytes of all outputs.
std::vector<std::byte> answer_of(const Batch& batch);

}  // namespace tessera::measure
