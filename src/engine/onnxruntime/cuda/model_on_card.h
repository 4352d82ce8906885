// What a model keeps on a gpu however it runs: its optimised form, its weights, and the memory of its sessions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/engine.h"
#include "engine/onnxruntime/cuda/cuda_parts.h"
#include "engine/onnxruntime/cuda/device_weights.h"
#include "engine/onnxruntime/cuda/replicas.h"
#include "engine/onnxruntime/optimized_files.h"

namespace tessera::engine {

// What the sessions of a model are made from. Immutable; outlives them.
struct SessionFacts {
  const CudaParts* parts = nullptr;
  FileSignature signature;
  std::int32_t max_batch_size = 0;
  std::vector<std::optional<InputForm>> forms;  // by input: how requests give it; nothing: as the file has it
  SessionSource* kept = nullptr;                // memory of the model's that lives as long as its sessions and captures
};

// Outlives what is made from it. Immutable but for the memory, which is the loader thread's, and what
// tuned() knows.
class ModelOnCard {
 public:
  // Optimises the model, on the loader thread, and uploads its weights; what another replica has, it takes from there.
  // Error: what ONNX Runtime says of the model, or where the weights do not fit.
  static Result<std::unique_ptr<ModelOnCard>> load(std::shared_ptr<const CudaParts> parts, const LoadOptions& options,
                                                   const FileSignature& signature);

  const CudaParts& parts() const { return *parts_; }
  const SessionFacts& facts() const { return facts_; }
  // The same where the inputs have the shapes of `signature`.
  SessionFacts facts_with(const FileSignature& signature) const {
    SessionFacts facts = facts_;
    facts.signature = signature;
    return facts;
  }
  const OptimizedFiles& files() const { return *files_; }
  TunedOptions& tuned() const { return replicas_->tuned(); }
  const DeviceWeights& weights() const { return *weights_; }
  // What all regions of the model draw on.
  const std::shared_ptr<device::MemoryBudget>& budget() const { return budget_; }
  // Of all of them. Thread-safe.
  MemoryUse memory() const;

 private:
  ModelOnCard(std::shared_ptr<const CudaParts> parts, std::shared_ptr<ReplicaSet> replicas,
              std::shared_ptr<const OptimizedFiles> files, const LoadOptions& options, const FileSignature& signature,
              std::unique_ptr<device::DeviceRegion> region, std::shared_ptr<device::MemoryBudget> budget);

  const std::shared_ptr<const CudaParts> parts_;
  const std::shared_ptr<ReplicaSet> replicas_;
  const std::shared_ptr<const OptimizedFiles> files_;
  const std::shared_ptr<device::MemoryBudget> budget_;
  Registered<SessionSource> session_memory_;
  const SessionFacts facts_;
  std::unique_ptr<const DeviceWeights> weights_;
  std::unique_ptr<const ReplicaSet::Offer> offer_;
};

}  // namespace tessera::engine
