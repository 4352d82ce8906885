#include "measure/shared_parts.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "base/clock.h"

namespace tessera::measure {
namespace {

// A service's hold on a model of the store. Says nothing of cheap homes, so that all are made before anything is
// measured, nor of building, which the store has done. Thread-safe as its model is.
class BorrowedModel final : public engine::LoadedModel {
 public:
  BorrowedModel(ModelStore& store, std::shared_ptr<engine::LoadedModel> model)
      : store_(store), model_(std::move(model)) {}

  const engine::FileSignature& signature() const override { return model_->signature(); }
  engine::MemoryUse memory() const override { return model_->memory(); }
  Result<const device::Plan*> prepare_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override {
    auto plan = model_->prepare_home(bucket, lane, slice);
    if (plan.ok() || plan.error().code() == ErrorCode::kUnsupported) {  // which will not change
      store_.note_home(model_.get(), slice);
    }
    return plan;
  }
  bool one_plan_per_slice() const override { return model_->one_plan_per_slice(); }
  bool warm_when_homed() const override { return model_->warm_when_homed(); }

 private:
  ModelStore& store_;
  const std::shared_ptr<engine::LoadedModel> model_;
};

}  // namespace

Result<std::shared_ptr<engine::LoadedModel>> ModelStore::model(const engine::LoadOptions& options) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = models_.find(options.file); found != models_.end()) {
      return found->second;
    }
  }
  TESSERA_ASSIGN_OR_RETURN(auto loaded, engine_.load(options));  // only one loader thread is alive at a time
  for (const std::int32_t bucket : buckets_) {
    TESSERA_RETURN_IF_ERROR(loaded->build(bucket));
  }
  const std::shared_ptr<engine::LoadedModel> shared = std::move(loaded);
  const std::lock_guard lock(mutex_);
  return models_[options.file] = shared;
}

std::shared_ptr<engine::LoadedModel> ModelStore::find(const std::string& file) {
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(file);
  return found == models_.end() ? nullptr : found->second;
}

void ModelStore::forget_homes() {
  const std::lock_guard lock(mutex_);
  homes_.clear();
}

void ModelStore::note_home(const engine::LoadedModel* model, const Slice& slice) {
  const std::lock_guard lock(mutex_);
  homes_[model].insert(slice);
}

bool ModelStore::wait_until_homed(std::size_t models, std::chrono::seconds patience) {
  std::size_t seen = 0;
  TimePoint since = now();
  for (;;) {
    std::size_t homes = 0;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [model, slices] : homes_) {
        homes += slices.size();
      }
    }
    if (homes >= models * slices_) {
      return true;
    }
    if (homes != seen) {
      seen = homes;
      since = now();
    }
    if (now() - since > patience) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Result<std::unique_ptr<engine::LoadedModel>> BorrowedEngine::load(const engine::LoadOptions& options) {
  TESSERA_ASSIGN_OR_RETURN(auto model, store_.model(options));
  return std::unique_ptr<engine::LoadedModel>(std::make_unique<BorrowedModel>(store_, std::move(model)));
}

}  // namespace tessera::measure
