// A model in ONNX Runtime on the host: weights once, a session for all single-core slices, one for each larger slice.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "device/host/topology.h"
#include "engine/engine.h"
#include "engine/onnxruntime/onnx_plan.h"
#include "engine/onnxruntime/optimized_files.h"
#include "engine/onnxruntime/pinned_threads.h"
#include "engine/onnxruntime/shared_weights.h"

namespace tessera::engine {

// Thread-safe.
class OnnxModel final : public LoadedModel {
 public:
  static Result<std::unique_ptr<LoadedModel>> load(std::shared_ptr<const Environment> environment,
                                                   std::shared_ptr<CopyCounter> copies, device::HostTopology topology,
                                                   const LoadOptions& options, std::vector<std::string> external_data);

  const FileSignature& signature() const override { return facts_.signature; }
  MemoryUse memory() const override;
  Result<const device::Plan*> prepare_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override;
  bool one_plan_per_slice() const override { return true; }

  const SharedWeights& weights() const { return *weights_; }

 private:
  // A session with the threads it computes on; a thread is gone before its maker is.
  struct Seat {
    std::unique_ptr<PinnedThreads> threads;  // none: the calling thread alone
    Ort::Session session{nullptr};
    std::unique_ptr<const OnnxPlan> plan;
  };

  OnnxModel(OptimizedFiles files, std::unique_ptr<const SharedWeights> weights, device::HostTopology topology);
  Result<std::unique_ptr<Seat>> make_seat(std::span<const int> helper_cpus);

  // In the order in which they may go: seats first.
  const OptimizedFiles files_;
  const device::HostTopology topology_;
  PlanFacts facts_;
  const std::unique_ptr<const SharedWeights> weights_;

  mutable std::mutex mutex_;  // guards what follows; held while a session is made, never by a run
  std::unique_ptr<Seat> single_core_;
  std::map<Slice, std::unique_ptr<Seat>> larger_;

  std::atomic<std::uint64_t> per_home_{0};  // bytes; read while a session is made, which takes long
};

}  // namespace tessera::engine
