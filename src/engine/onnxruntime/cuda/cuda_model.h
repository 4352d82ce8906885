// A model in ONNX Runtime on a gpu, in one shape of its inputs: weights once, a session for each bucket, captures of it
// in each lane, homed wherever.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/onnxruntime/cuda/bound_session.h"
#include "engine/onnxruntime/cuda/captured_plan.h"
#include "engine/onnxruntime/cuda/lane.h"
#include "engine/onnxruntime/cuda/model_on_card.h"

namespace tessera::engine {

// Thread-safe where LoadedModel says so.
class CudaModel final : public LoadedModel {
 public:
  // Runs in a session before any capture, with scratch memory: the search for algorithms, and what the provider keeps
  // of its first run.
  static constexpr int kFirstRuns = 3;

  // Where options name shapes, one for each of them behind one face (ShapedModel); they share weights and lanes.
  static Result<std::unique_ptr<LoadedModel>> load(std::shared_ptr<const CudaParts> parts, const LoadOptions& options,
                                                   const FileSignature& signature);

  const FileSignature& signature() const override { return facts_.signature; }
  MemoryUse memory() const override;
  Result<const device::Plan*> prepare_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override;
  bool one_plan_per_slice() const override { return false; }
  bool warm_when_homed() const override { return true; }
  bool homes_cheaply() const override { return true; }
  Status build(std::int32_t bucket) override;
  bool outdated(std::int32_t bucket, LaneIndex lane) const override;
  Status capture(std::int32_t bucket, LaneIndex lane) override;
  Result<const device::Plan*> home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override;
  void drop_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override;

 private:
  // `number`: of the shape; `signature`: with it.
  CudaModel(std::shared_ptr<const ModelOnCard> on_card, std::shared_ptr<Lanes> lanes, const LoadOptions& options,
            std::int32_t number, const FileSignature& signature);
  const CudaParts& parts() const { return on_card_->parts(); }
  std::int32_t tuning_key(std::int32_t bucket) const;

  Result<BoundSession*> session_for(std::int32_t bucket);
  Result<std::unique_ptr<BoundSession>> make_session(std::int32_t bucket, const ProviderOptions& choice);
  ProviderOptions first_choice(std::int32_t bucket) const;
  Status tune(std::int32_t bucket);
  Result<Duration> time(BoundSession& session);
  CapturedPlan* captured(std::int32_t bucket, LaneIndex lane) const;  // nullptr: not yet
  Result<Slice> smallest_home(CapturedPlan& plan) const;
  Status check(CapturedPlan& plan, const BoundSession& session);

  // In the order in which they may go: plans first, memory last.
  const std::shared_ptr<const ModelOnCard> on_card_;
  const SessionFacts facts_;
  const std::int32_t number_;
  const bool timed_choices_;

  // The loader thread's.
  const std::shared_ptr<Lanes> lanes_;
  struct Sessions {
    std::unique_ptr<BoundSession> current;
    std::vector<std::unique_ptr<BoundSession>> former;  // plans may have been captured from them
    bool tuned = false;
  };
  std::map<std::int32_t, Sessions> sessions_;

  mutable std::mutex mutex_;  // guards plans_; held for a look, never while something is made
  std::map<std::pair<std::int32_t, LaneIndex>, std::unique_ptr<CapturedPlan>> plans_;
};

}  // namespace tessera::engine
