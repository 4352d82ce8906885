#include "measure/models.h"

#include <fstream>
#include <iterator>
#include <utility>

#include "model/config.h"

namespace tessera::measure {
namespace {

constexpr std::uint32_t kSeed = 5;

}  // namespace

Result<InputForms> input_forms_of(engine::Engine& engine, const std::filesystem::path& folder) {
  std::ifstream file(folder / "config.pbtxt");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!engine.captures() || text.find("convert_inputs") == std::string::npos) {
    return InputForms{};
  }
  model::ConfigDefaults defaults;
  defaults.device_kind = "cuda";  // what captures is of a GPU
  TESSERA_ASSIGN_OR_RETURN(const auto written, model::parse_config_text(text));
  TESSERA_ASSIGN_OR_RETURN(const auto signature, engine.inspect(folder / "1" / "model.onnx"));
  TESSERA_ASSIGN_OR_RETURN(const auto config,
                           model::complete_config(folder.filename().string(), written, signature, defaults));
  return config.input_forms;
}

engine::FileSignature as_given(const engine::FileSignature& file, const InputForms& forms) {
  engine::FileSignature given = file;
  for (TensorSpec& input : given.inputs) {
    const auto form = forms.find(input.name);
    if (form == forms.end()) {
      continue;
    }
    input.dtype = form->second.dtype;
    if (form->second.channels_last) {  // [..., channels, height, width] in the file
      const std::size_t channels = input.shape.rank() - 3;
      const std::int64_t count = input.shape[channels];
      input.shape[channels] = input.shape[channels + 1];
      input.shape[channels + 1] = input.shape[channels + 2];
      input.shape[channels + 2] = count;
    }
  }
  return given;
}

Result<std::unique_ptr<Model>> Model::load(device::Device& device, engine::Engine& engine,
                                           const std::filesystem::path& repository, const std::string& name,
                                           std::int32_t max_batch_size, InstanceId instance, const ModelOptions& how) {
  engine::LoadOptions options;
  options.file = repository / name / "1" / "model.onnx";
  options.max_batch_size = max_batch_size;
  options.lanes = kLanes;
  options.uncaptured_in = how.uncaptured_in;
  options.digest = how.digest;
  options.timed_choices = how.timed_choices;
  if (!std::filesystem::exists(options.file)) {
    return not_found("there is no version 1 of a model '" + name + "' in " + repository.string());
  }
  if (!how.uncaptured_in && !how.as_in_file) {
    TESSERA_ASSIGN_OR_RETURN(options.input_forms, input_forms_of(engine, repository / name));
  }
  TESSERA_ASSIGN_OR_RETURN(auto loaded, engine.load(options));
  return std::unique_ptr<Model>(  // NOLINT: the constructor is private
      new Model(device, std::move(loaded), std::move(options.input_forms), instance));
}

Result<Batch*> Model::batch(std::int32_t rows) {
  TESSERA_ASSIGN_OR_RETURN(
      auto made,
      engine::TrialBatch::make(device_.staging(), as_given(loaded_->signature(), forms_), rows, rows, true, kSeed));
  batches_.push_back(std::make_unique<engine::TrialBatch>(std::move(made)));
  return &batches_.back()->batch();
}

Result<Loop> Model::loop(std::int32_t rows, LaneIndex lane, const Slice& slice) {
  TESSERA_ASSIGN_OR_RETURN(const device::Plan* plan, loaded_->prepare_home(rows, lane, slice));
  TESSERA_ASSIGN_OR_RETURN(Batch * made, batch(rows));
  return Loop{.plan = plan, .batch = made, .instance = instance_, .lane = lane, .slice = slice};
}

std::vector<std::byte> answer_of(const Batch& batch) {
  std::vector<std::byte> bytes;
  for (const TensorView& output : batch.outputs) {
    bytes.insert(bytes.end(), output.data.begin(), output.data.end());
  }
  return bytes;
}

}  // namespace tessera::measure
