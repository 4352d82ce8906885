// What the host device runs.
#pragma once

#include "base/result.h"
#include "core/batch.h"
#include "core/slice.h"
#include "device/device.h"

namespace tessera::device {

// One plan serves any slice its maker says it does; run() is called by a thread that is pinned to the slice's cores.
// Thread-safe across slices: at any moment at most one run per slice.
class HostPlan : public Plan {
 public:
  // Gathers the inputs, runs the model on `batch.rows` rows, and fills batch.outputs and batch.output_memory.
  // kDeviceLost is the processor's fault and ends the device; every other error is this launch's alone.
  virtual Status run(const Slice& slice, Batch& batch) const = 0;
};

}  // namespace tessera::device
