// A model that cannot be captured: one slice, and a thread there that launches it, kernel by kernel, one batch at a
// time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "device/cuda/stream_worker.h"
#include "device/cuda/worker_plan.h"
#include "engine/engine.h"
#include "engine/onnxruntime/cuda/model_on_card.h"
#include "engine/onnxruntime/cuda/provider.h"

namespace tessera::engine {

// Thread-safe where LoadedModel says so. Sessions, and the memory that they run in, are the worker's: made, run and
// destroyed on its thread.
//
// Where shapes are fixed but for the batch, each bucket has a session whose shape never changes, as the provider drops
// what it keeps of a shape when another comes. Else there is one for all.
class UncapturedModel final : public LoadedModel {
 public:
  // Runs of made-up input before a bucket is used: the search for algorithms.
  static constexpr int kFirstRuns = 3;

  // Error: that of ModelOnCard::load; kUnsupported for tensors that the provider does not compute with;
  // kResourceExhausted where no further slice of the card can have a worker.
  static Result<std::unique_ptr<LoadedModel>> load(std::shared_ptr<const CudaParts> parts, const LoadOptions& options,
                                                   const FileSignature& signature, const Slice& slice);
  ~UncapturedModel() override;

  const FileSignature& signature() const override { return facts().signature; }
  MemoryUse memory() const override { return on_card_->memory(); }
  Result<const device::Plan*> prepare_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override;
  bool one_plan_per_slice() const override { return false; }
  std::optional<Slice> only_slice() const override { return slice_; }

 private:
  class RunPlan;
  struct Input {
    const TensorSpec* spec = nullptr;
    Shape shape;
    CUdeviceptr at = 0;
    std::size_t bytes = 0;
  };

  UncapturedModel(std::unique_ptr<const ModelOnCard> on_card, const LoadOptions& options, const Slice& slice,
                  std::shared_ptr<device::StreamWorker> worker, std::unique_ptr<device::DeviceRegion> memory);
  const CudaParts& parts() const { return on_card_->parts(); }
  const SessionFacts& facts() const { return on_card_->facts(); }

  // The worker's:
  Result<Ort::Session*> session_for(std::int32_t bucket);
  Status warm(std::int32_t bucket);
  Status run(std::int32_t bucket, Batch& batch);
  Status lay_out(std::int32_t rows, const Batch& batch, std::vector<Input>& inputs);
  Status fill(const BatchInput& from, const Input& to) const;
  Result<std::vector<Ort::Value>> compute(std::int32_t bucket, const std::vector<Input>& inputs);
  Status take_out(std::int32_t rows, const std::vector<Ort::Value>& outputs, Batch& batch) const;
  void release(const std::vector<Input>& inputs);

  const std::unique_ptr<const ModelOnCard> on_card_;
  const bool fixed_shapes_;
  const ProviderOptions options_;
  const Slice slice_;
  const std::shared_ptr<device::StreamWorker> worker_;
  Registered<HeapSource> memory_;  // of runs
  const WorkPlace place_;
  std::map<std::int32_t, Ort::Session> sessions_;           // by bucket; 0: the one for all
  std::map<std::int32_t, std::unique_ptr<RunPlan>> plans_;  // by bucket; the loader thread's
};

}  // namespace tessera::engine
