// A GPU, or some of its atoms, as a device: a slice is a green context, a run is a homed graph. Plans are CudaPlans.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "device/cuda/device_spec.h"
#include "device/cuda/gpu.h"
#include "device/cuda/pinned_staging.h"
#include "device/device.h"

namespace tessera::device {

struct CudaOptions {
  CudaDeviceSpec spec{};  // names the device, and says which atoms of the gpu it has
  std::size_t streams =
      24;  // launches that can run at once; all devices of a gpu together get Gpu::kMaxStreams at most
  PinnedLimits staging{};
  // How long the polling thread sleeps between two looks while something is in flight. 0: it spins, on a core of its
  // own, and sees an end within microseconds.
  Duration poll_pause{0};
};

// What engines need of it beyond a Device.
class CudaDevice : public Device {
 public:
  virtual std::shared_ptr<Gpu> gpu() = 0;  // thread-safe; what is homed on it must not outlive it

  // The context of a slice, made when it is asked for first: for the homing thread, to home plans in.
  virtual Result<CUcontext> context_of(const Slice& slice) = 0;

  // The stream of the loader thread; what it runs there is confined by the context it was captured or queued in.
  virtual CUstream loader_stream() = 0;
};

// A launch is queued to the card at once and orders itself there, so it can be dropped no more (cancel() only discards
// its result), and retire() only gives its place back. A launch's `started` is when the last launch that it waited for
// was seen to have ended, or when it was queued: what the slice had to spend, as a scheduler counts it.
// Errors: those of the driver; kInvalidArgument for atoms that the gpu does not have.
Result<std::unique_ptr<CudaDevice>> make_cuda_device(std::shared_ptr<Gpu> gpu, const CudaOptions& options);

}  // namespace tessera::device
