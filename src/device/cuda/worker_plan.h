// A plan without a graph, for what cannot be captured: a worker's thread launches it, kernel by kernel, and waits for
// it.
//
// Nothing on the card waits for that thread. What it calls may have to wait for the whole card itself: code that is
// used for the first time is loaded, for one, and would wait for ever.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/result.h"
#include "device/cuda/cuda_plan.h"
#include "device/cuda/stream_worker.h"

namespace tessera::device {

// One launch at a time, in one slice, that of its worker, which outlives it. enqueue, finish and abandon as CudaPlan
// says.
class WorkerPlan : public CudaPlan {
 public:
  WorkerPlan(StreamWorker& worker, const Slice& slice) : worker_(worker), slice_(slice) {}
  ~WorkerPlan() override;  // the worker lets go of it

  Status enqueue(const Slice& slice, const LaunchQueue& queue, Batch& batch) const final;
  StreamWorker* worker(const Slice& /*slice*/) const final { return &worker_; }
  Status finish(const Slice& slice, Batch& batch) const final;
  void abandon(Batch& batch) const final;

  const Slice& slice() const { return slice_; }

 protected:
  // On the worker's thread: queues the batch on the worker's stream, and fills batch.outputs and batch.output_memory.
  // What was queued has ended before anybody looks at them, also after an error. Error: the launch's alone, unless it
  // is kDeviceLost.
  virtual Status run(CUstream stream, Batch& batch) const = 0;

 private:
  void carry_out(Batch& batch, std::uint64_t end_word, std::uint32_t end_number) const;
  void wait_for_worker() const { ended_.wait(false, std::memory_order_acquire); }

  StreamWorker& worker_;
  const Slice slice_;
  mutable std::atomic<bool> busy_{false};  // from enqueue() to finish() or abandon()
  mutable std::atomic<bool> ended_{true};  // the worker is done with the batch
  mutable Status result_;                  // the worker's until ended_
};

}  // namespace tessera::device
