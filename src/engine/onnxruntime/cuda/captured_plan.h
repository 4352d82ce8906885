// A plan on a gpu: one session's run, captured once in one lane, and its homed copies.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "device/cuda/cuda_plan.h"
#include "device/cuda/homed_graph.h"
#include "device/cuda/pointer_audit.h"
#include "engine/onnxruntime/cuda/bound_session.h"
#include "engine/onnxruntime/cuda/lane.h"

namespace tessera::engine {

// enqueue and finish as CudaPlan says; capture and check by the loader thread; home and drop_home are thread-safe. What
// it refers to outlives it.
//
// A launch writes nothing into the graph: where the inputs of a batch lie and where its outputs go stands in the lane's
// control block, which the graph's first and last kernel read. So one launch is one call of the driver, and copies
// only where inputs are large and were not copied ahead of it.
class CapturedPlan final : public device::CudaPlan {
 public:
  // Runs that warm up in the lane before the capture.
  static constexpr int kWarmUps = 3;
  // Parts of inputs up to this size are read by the graph's first kernel where they lie in the host's memory; larger
  // ones go by the copy engines, unless they are on the card already.
  static constexpr std::size_t kReadInPlace = std::size_t{32} << 10;

  // Outputs of a batch up to this size, together, are written to the host's memory by the graph's last kernel; more
  // leave by a copy engine, while the slice has the next batch.
  static constexpr std::size_t kWriteInPlace = std::size_t{256} << 10;

  // `foreign`: memory of other lanes. Error: kUnsupported where the graph cannot be homed or touches such memory.
  static Result<std::unique_ptr<CapturedPlan>> capture(const SessionFacts& facts, BoundSession& session, Lane& lane,
                                                       std::span<const device::NamedRange> foreign);

  // Makes the copy for a slice of the ladder, about 1 ms. Launches in that slice must come after it has returned.
  // `stream` carries the upload.
  Status home(const Slice& slice, CUstream stream);
  // Lets go of it; nothing of it runs, and nothing is launched in that slice before it is homed there again.
  void drop_home(const Slice& slice);

  // Becomes what `other` is, a capture of another session in the same lane, in all slices where it is homed, about 1 ms
  // each. Nothing may run in the lane meanwhile; `other` is of no use afterwards. After an error it is what it was.
  Status take_over(CapturedPlan& other, CUstream stream);
  const BoundSession& session() const { return *session_; }

  // What homing it there took; nothing where it is not homed.
  std::optional<device::HomedGraph::Steps> homing_took(const Slice& slice) const;

  // Compares two replays on made-up inputs, which come as the file has them, with plain runs, bit by bit, in `slice`,
  // which is homed. Before the plan serves.
  Status check_replay(const Slice& slice, Batch& batch);

  Status enqueue(const Slice& slice, const device::LaunchQueue& queue, Batch& batch) const override;
  Status finish(const Slice& slice, Batch& batch) const override;
  bool writes_end() const override { return true; }
  bool copies_outputs(const Batch& batch) const override;
  Status enqueue_outputs(CUstream stream, const Batch& batch) const override;

 private:
  CapturedPlan(const SessionFacts& facts, BoundSession& session, Lane& lane);

  Status record();
  Status capture_run();
  std::size_t place_of(const Slice& slice) const;
  Status queue_run(const Slice& slice, const device::LaunchQueue& queue, const Batch& batch) const;
  class Moves;
  Status write_inputs(Moves& moves, const device::LaunchQueue& queue, const Batch& batch) const;
  // `pinned`: where parts from elsewhere go. `copied`: whether copies were queued, also where it fails.
  Status move_inputs(Moves& moves, const device::LaunchQueue& queue, const Batch& batch, std::byte* pinned,
                     bool& copied) const;
  Status move_part(Moves& moves, const device::LaunchQueue& queue, const BoundTensor& bound,
                   const std::optional<InputForm>& form, std::span<const std::byte> part,
                   const std::optional<CUdeviceptr>& slot, CUdeviceptr to, bool& copied) const;
  static Status move_converted(Moves& moves, const InputForm& form, const BoundTensor& bound, std::uint64_t from,
                               std::size_t bytes, CUdeviceptr to);
  Status write_outputs(Moves& moves, const Batch& batch) const;
  Status plain_run(const Batch& batch, std::span<std::byte> outputs) const;

  const SessionFacts& facts_;
  BoundSession* session_;
  Lane& lane_;
  const DeviceShape& shape_;
  Binding binding_;
  device::OwnedGraph graph_;
  bool as_in_file_ = false;                                    // inputs come so, whatever form requests give them
  std::vector<std::atomic<const device::HomedGraph*>> homed_;  // by place in the ladder
  mutable std::mutex homing_;  // of one source graph one copy is made at a time; guards owned_
  std::vector<std::unique_ptr<const device::HomedGraph>> owned_;
};

}  // namespace tessera::engine
