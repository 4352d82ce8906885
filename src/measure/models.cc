#include "measure/models.h"

#include <utility>

namespace tessera::measure {
namespace {

constexpr std::uint32_t kSeed = 5;

}  // namespace

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
  TESSERA_ASSIGN_OR_RETURN(auto loaded, engine.load(options));
  return std::unique_ptr<Model>(new Model(device, std::move(loaded), instance));  // NOLINT: private constructor
}

Result<Batch*> Model::batch(std::int32_t rows) {
  TESSERA_ASSIGN_OR_RETURN(auto made,
                           engine::TrialBatch::make(device_.staging(), loaded_->signature(), rows, rows, true, kSeed));
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
