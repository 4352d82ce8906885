// What a CUDA device runs.
#pragma once

#include "base/result.h"
#include "core/batch.h"
#include "core/slice.h"
#include "device/cuda/driver.h"
#include "device/device.h"

namespace tessera::device {

// One plan serves the slices it has been homed in; whether a launch may run at all in a slice, its owner knows.
class CudaPlan : public Plan {
 public:
  // Queues the run on the stream, where everything it needs is ordered before it. All of it has to run in the slice's
  // context, as a homed graph does. Called by who launches, with the gpu's primary context current; it must not wait
  // for the gpu. Error: the launch's alone, unless it is kDeviceLost; what was queued so far still runs.
  virtual Status enqueue(const Slice& slice, CUstream stream, Batch& batch) const = 0;

  // The run has ended: fills batch.outputs and batch.output_memory. Called by the device's polling thread, which
  // everybody's completions wait for: it looks at memory that is there, and copies none.
  virtual Status finish(const Slice& slice, Batch& batch) const = 0;
};

}  // namespace tessera::device
