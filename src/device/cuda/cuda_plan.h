// What a CUDA device runs.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "core/batch.h"
#include "core/slice.h"
#include "device/cuda/driver.h"
#include "device/device.h"

namespace tessera::device {

// Where a launch goes on the card. The device has ordered everything already: what is queued on `run` begins when the
// slice is the launch's own, what is queued on `inbound` when the launch before it in its lane has ended.
struct LaunchQueue {
  CUstream run = nullptr;
  CUstream inbound = nullptr;    // for copies of inputs to the card, which may go ahead of the slice
  CUevent arrived = nullptr;     // the launch's, to record on `inbound`
  std::uint64_t end_word = 0;    // address in pinned memory, and
  std::uint32_t end_number = 0;  // what stands there once the launch has ended
  // Address of CardTimes in pinned memory, for plans that have a frame to write it; 0: nobody asks.
  std::uint64_t times = 0;
};

// What is queued on `run` from here on waits for what is queued on `inbound` so far. For plans that copy.
Status inputs_arrived(const Driver& driver, const LaunchQueue& queue);

class StreamWorker;

// One plan serves the slices it has been homed in; whether a launch may run at all in a slice, its owner knows.
class CudaPlan : public Plan {
 public:
  // Queues the run. What computes has to run in the slice's context, as a homed graph does, and to be ordered on
  // `queue.run`, that is to end before what is queued there afterwards. Called by who launches, with the gpu's primary
  // context current; it must not wait for the gpu. Error: the launch's alone, unless it is kDeviceLost; what was queued
  // so far still runs.
  virtual Status enqueue(const Slice& slice, const LaunchQueue& queue, Batch& batch) const = 0;

  // Who launches it in that slice, on a stream of his, which is `queue.run` then: enqueue() only hands the batch over,
  // and the worker writes the end's number to its word. The card cannot order anything behind that: launches that have
  // to wait for it are held back until it has been retired. nullptr: who calls enqueue().
  virtual StreamWorker* worker(const Slice& slice) const {
    static_cast<void>(slice);
    return nullptr;
  }

  // Whether the last that enqueue() queues writes the end's number to its word, as a plan's scatter kernel does: it is
  // seen 2 us sooner than what the stream writes after it, and costs nothing to launch.
  virtual bool writes_end() const { return false; }

  // Whether the batch's outputs leave by a copy engine: enqueue_outputs() then queues their copies on `stream`, behind
  // the run. Its slice is free by then; the launch completes when they have ended. Never of one that a worker launches.
  // An error there is one of the device's.
  virtual bool copies_outputs(const Batch& batch) const {
    static_cast<void>(batch);
    return false;
  }
  virtual Status enqueue_outputs(CUstream stream, const Batch& batch) const {
    static_cast<void>(stream);
    static_cast<void>(batch);
    return ok_status();
  }

  // The run has ended, and so have the copies of its outputs: fills batch.outputs and batch.output_memory. Called by
  // the device's polling thread, which everybody's completions wait for: it looks at memory that is there, and copies
  // none.
  virtual Status finish(const Slice& slice, Batch& batch) const = 0;

  // Instead of finish(), where the device was lost while it ran: returns when no thread of the plan's touches the batch
  // any more.
  virtual void abandon(Batch& batch) const { static_cast<void>(batch); }
};

}  // namespace tessera::device
