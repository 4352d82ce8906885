// A model whose inputs come in a few shapes, as one: each shape is a model of its own, and a batch runs in that of its.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "device/cuda/cuda_plan.h"
#include "engine/engine.h"

namespace tessera::engine {

// Thread-safe where LoadedModel says so.
class ShapedModel final : public LoadedModel {
 public:
  // `file`: the signature without shapes. `models`: one for each shape, with plans that are CudaPlans and one memory;
  // at most one of them runs in a lane at a time. The first one's latencies are measured at load.
  ShapedModel(FileSignature file, bool batches, std::vector<std::unique_ptr<LoadedModel>> models);
  ~ShapedModel() override;

  const FileSignature& signature() const override { return file_; }
  MemoryUse memory() const override { return models_.front()->memory(); }
  bool one_plan_per_slice() const override { return false; }
  bool warm_when_homed() const override { return true; }
  bool homes_cheaply() const override { return true; }
  // Of all shapes, or of none. Error: the first one's.
  Result<const device::Plan*> prepare_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override;
  Result<const device::Plan*> home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override;
  void drop_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override;
  Status build(std::int32_t bucket) override;
  bool outdated(std::int32_t bucket, LaneIndex lane) const override;
  Status capture(std::int32_t bucket, LaneIndex lane) override;

 private:
  class ShapedPlan;
  using Homing = Result<const device::Plan*> (LoadedModel::*)(std::int32_t, LaneIndex, const Slice&);
  Result<const device::Plan*> home_all(Homing homing, std::int32_t bucket, LaneIndex lane, const Slice& slice);
  bool fits(const FileSignature& shape, const Batch& batch) const;

  const FileSignature file_;
  const bool batches_;
  const std::vector<std::unique_ptr<LoadedModel>> models_;
  std::mutex mutex_;  // guards plans_
  std::map<std::pair<std::int32_t, LaneIndex>, std::unique_ptr<ShapedPlan>> plans_;
};

}  // namespace tessera::engine
