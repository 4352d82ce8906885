// A model in ONNX Runtime on a gpu, in one shape of its inputs: weights once, a session for each bucket, captures of it
// in each lane, homed wherever.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/onnxruntime/cuda/bound_session.h"
#include "engine/onnxruntime/cuda/captured_plan.h"
#include "engine/onnxruntime/cuda/lane.h"
#include "engine/onnxruntime/cuda/model_on_card.h"

namespace tessera::engine {

// What one session of a model costs. Value.
struct SessionCost {
  std::int32_t bucket = 0;
  std::string options;       // of the provider, by name
  SessionUse use{};          // of the model's memory, while it was made
  std::int64_t outside = 0;  // bytes that libraries took from the driver for it, in the card's own books: whatever else
                             // takes and gives meanwhile, in this process or another, is in it
};

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
  // Of all sessions made so far, in that order; also of those that were only tried. The loader thread's.
  const std::vector<SessionCost>& sessions() const { return costs_; }
  // Tables that captures read, each once for all of them; in `packed` of memory(). The loader thread's.
  Bytes tables() const { return facts_.kept->tables(); }
  // What it and its replicas know of the options that suit it, by tuning_key(); thread-safe.
  TunedOptions& tuned() const { return on_card_->tuned(); }
  std::int32_t tuning_key(std::int32_t bucket) const;

 private:
  // `number`: of the shape; `signature`: with it.
  CudaModel(std::shared_ptr<const ModelOnCard> on_card, std::shared_ptr<Lanes> lanes, const LoadOptions& options,
            std::int32_t number, const FileSignature& signature);
  const CudaParts& parts() const { return on_card_->parts(); }

  Result<BoundSession*> session_for(std::int32_t bucket);
  Result<std::unique_ptr<BoundSession>> make_session(std::int32_t bucket, const ProviderOptions& choice);
  Result<std::unique_ptr<BoundSession>> make_counted(std::int32_t bucket, const ProviderOptions& choice);
  std::int64_t taken_outside() const;
  ProviderOptions first_choice(std::int32_t bucket) const;
  Status tune(std::int32_t bucket);
  Status adopt(std::int32_t bucket, const ProviderOptions& choice);
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
  std::vector<SessionCost> costs_;

  mutable std::mutex mutex_;  // guards plans_; held for a look, never while something is made
  std::map<std::pair<std::int32_t, LaneIndex>, std::unique_ptr<CapturedPlan>> plans_;
};

}  // namespace tessera::engine
