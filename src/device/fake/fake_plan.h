// What the fake device runs: nothing but a stretch of time, and what a test wants to happen at its ends.
#pragma once

#include <optional>

#include "base/result.h"
#include "base/time.h"
#include "core/batch.h"
#include "core/slice.h"
#include "device/device.h"

namespace tessera::device {

// Called by the fake device with its lock held: an implementation must not call the device. Thread-safe.
class FakePlan : public Plan {
 public:
  // A run has begun in `slice`.
  virtual void begin(const Slice& slice) const { static_cast<void>(slice); }
  // How long the run takes. Nothing: not known yet; asked again at each FakeDevice::wake().
  virtual std::optional<Duration> latency(const Slice& slice, const Batch& batch) const = 0;
  // The run ends: fills the batch's outputs. kDeviceLost is the processor's fault and ends the device.
  virtual Status finish(const Slice& slice, Batch& batch) const {
    static_cast<void>(slice);
    static_cast<void>(batch);
    return ok_status();
  }
};

}  // namespace tessera::device
