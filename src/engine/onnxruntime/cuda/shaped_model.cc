#include "engine/onnxruntime/cuda/shaped_model.h"

#include <algorithm>
#include <string>
#include <utility>

namespace tessera::engine {

// Of one batch size in one lane. Immutable.
class ShapedModel::ShapedPlan final : public device::CudaPlan {
 public:
  // `plans`: by shape.
  ShapedPlan(const ShapedModel& model, std::vector<const device::CudaPlan*> plans)
      : model_(model), plans_(std::move(plans)) {}

  Status enqueue(const Slice& slice, const device::LaunchQueue& queue, Batch& batch) const override {
    const device::CudaPlan* plan = of(batch);
    if (plan == nullptr) {
      std::string shapes;
      for (const BatchInput& input : batch.inputs) {
        shapes += (shapes.empty() ? "" : ", ") + input.row_shape.to_string();
      }
      return internal_error("nothing was captured for inputs of " + shapes);
    }
    return plan->enqueue(slice, queue, batch);
  }
  bool writes_end() const override { return plans_.front()->writes_end(); }
  bool copies_outputs(const Batch& batch) const override {
    const device::CudaPlan* plan = of(batch);
    return plan != nullptr && plan->copies_outputs(batch);
  }
  Status enqueue_outputs(CUstream stream, const Batch& batch) const override {
    return of(batch)->enqueue_outputs(stream, batch);
  }
  Status finish(const Slice& slice, Batch& batch) const override { return of(batch)->finish(slice, batch); }

 private:
  const device::CudaPlan* of(const Batch& batch) const {
    for (std::size_t i = 0; i < plans_.size(); ++i) {
      if (model_.fits(model_.models_[i]->signature(), batch)) {
        return plans_[i];
      }
    }
    return nullptr;
  }

  const ShapedModel& model_;
  const std::vector<const device::CudaPlan*> plans_;
};

ShapedModel::ShapedModel(FileSignature file, bool batches, std::vector<std::unique_ptr<LoadedModel>> models)
    : file_(std::move(file)), batches_(batches), models_(std::move(models)) {}

ShapedModel::~ShapedModel() = default;

// In the dimensions that the file leaves free: the others are the same in every shape.
bool ShapedModel::fits(const FileSignature& shape, const Batch& batch) const {
  const std::size_t skip = batches_ ? 1 : 0;
  for (std::size_t i = 0; i < batch.inputs.size(); ++i) {
    const Shape& free = file_.inputs[i].shape;
    const Shape& row = batch.inputs[i].row_shape;
    for (std::size_t dim = skip; dim < free.rank(); ++dim) {
      if (free[dim] < 0 && (row.rank() + skip != free.rank() || row[dim - skip] != shape.inputs[i].shape[dim])) {
        return false;
      }
    }
  }
  return true;
}

Result<const device::Plan*> ShapedModel::home_all(Homing homing, std::int32_t bucket, LaneIndex lane,
                                                  const Slice& slice) {
  std::vector<const device::CudaPlan*> plans;
  for (const auto& model : models_) {
    const auto plan = ((*model).*homing)(bucket, lane, slice);
    if (!plan.ok()) {  // for all or for none
      for (std::size_t i = 0; i < plans.size(); ++i) {
        models_[i]->drop_home(bucket, lane, slice);
      }
      return plan.error();
    }
    plans.push_back(dynamic_cast<const device::CudaPlan*>(*plan));
    TESSERA_CHECK(plans.back() != nullptr);
  }
  const std::lock_guard lock(mutex_);
  auto& plan = plans_[{bucket, lane}];
  if (plan == nullptr) {
    plan = std::make_unique<ShapedPlan>(*this, std::move(plans));
  }
  return static_cast<const device::Plan*>(plan.get());
}

Result<const device::Plan*> ShapedModel::prepare_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) {
  return home_all(&LoadedModel::prepare_home, bucket, lane, slice);
}

Result<const device::Plan*> ShapedModel::home(std::int32_t bucket, LaneIndex lane, const Slice& slice) {
  return home_all(&LoadedModel::home, bucket, lane, slice);
}

void ShapedModel::drop_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) {
  for (const auto& model : models_) {
    model->drop_home(bucket, lane, slice);
  }
}

Status ShapedModel::build(std::int32_t bucket) {
  for (const auto& model : models_) {
    TESSERA_RETURN_IF_ERROR(model->build(bucket));
  }
  return ok_status();
}

bool ShapedModel::outdated(std::int32_t bucket, LaneIndex lane) const {
  return std::any_of(models_.begin(), models_.end(), [&](const auto& model) { return model->outdated(bucket, lane); });
}

Status ShapedModel::capture(std::int32_t bucket, LaneIndex lane) {
  for (const auto& model : models_) {
    TESSERA_RETURN_IF_ERROR(model->capture(bucket, lane));
  }
  return ok_status();
}

}  // namespace tessera::engine
