// A GPU, or some of its atoms, as a device: a slice is a green context, a run is a homed graph. Plans are CudaPlans.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "device/cuda/device_spec.h"
#include "device/cuda/gpu.h"
#include "device/cuda/observed_launch.h"
#include "device/cuda/pinned_staging.h"
#include "device/cuda/stream_worker.h"
#include "device/device.h"

namespace tessera::device {

// Streams of a device beside those that launches run on: three for copies of inputs and two for their ends, where more
// than one copy may be outstanding; two of the loader's, one for homing.
constexpr std::size_t end_streams(std::uint16_t copies) { return copies < 2 ? 0 : 2; }
constexpr std::size_t other_streams(std::uint16_t copies) { return 6 + end_streams(copies); }
// What is left for workers of plans that cannot be captured, one a slice, on a card that is one device.
inline constexpr std::size_t kWorkerStreams = 4;

struct CudaOptions {
  static constexpr std::uint16_t kCopies = 4;

  CudaDeviceSpec spec{};  // names the device, and says which atoms of the gpu it has
  // Launches that can run at once. With other_streams() more, all devices of a gpu together get Gpu::kMaxStreams at
  // most; workers get those that nobody has.
  std::size_t streams = Gpu::kMaxStreams - other_streams(kCopies) - kWorkerStreams;
  PinnedLimits staging{};
  // Copies of inputs ahead of their launches that may be outstanding, at most LaunchOrder::kMaxCopies. They take as
  // much of the card's memory as `staging` has. 0: none are made, every launch copies for itself.
  std::uint16_t copies = kCopies;
  // How long the polling thread sleeps between two looks while something is in flight. 0: it spins, on a core of its
  // own, and sees an end within microseconds.
  Duration poll_pause{0};
  // How servers commonly have it, for comparison (bench/without): the polling thread sleeps until the driver wakes it,
  // and what is loaded has the whole device for itself meanwhile.
  bool wait_in_driver = false;
  bool load_alone = false;
};

// What engines need of it beyond a Device.
class CudaDevice : public Device {
 public:
  // From now on `observer` hears of each launch, once, by who retires it, who waits for it meanwhile; an empty one
  // ends that. While nothing is in flight. Nobody listening costs nothing. Pins memory the first time, which stalls
  // every launch on the card. Error: that of the driver; kUnsupported where nothing can be told.
  virtual Status observe(LaunchObserver observer);

  virtual std::shared_ptr<Gpu> gpu() = 0;  // thread-safe; what is homed on it must not outlive it

  // The context of a slice, made when it is asked for first: for the homing thread, to home plans in.
  virtual Result<CUcontext> context_of(const Slice& slice) = 0;

  // A stream of the loader thread's in the primary context, for what carries its own context: homed graphs, uploads.
  virtual CUstream loader_stream() = 0;

  // Likewise of the homing thread's, so that it never waits for what the loader runs.
  virtual CUstream homing_stream() = 0;

  // Another one, whose work runs in the loader slice: for all that an engine queues where it builds, warms and
  // captures. The primary context is the loader thread's current one, as libraries expect it.
  virtual CUstream build_stream() = 0;

  // For plans that cannot be captured: the thread that launches them in that slice, one for all of them, as long as
  // anybody holds it. For the loader thread. Error: kResourceExhausted where the card has no more streams.
  virtual Result<std::shared_ptr<StreamWorker>> worker_of(const Slice& slice) = 0;

  // Whether the card may read these bytes where they lie: they are in the device's request memory. Thread-safe.
  virtual bool reads_in_place(std::span<const std::byte> bytes) const = 0;

  // Where on the card a copy of these bytes lies once it has been made; nothing where none can be. Thread-safe.
  virtual std::optional<CUdeviceptr> slot_of(std::span<const std::byte> bytes) const = 0;
};

// A launch is queued to the card at once and orders itself there, so it can be dropped no more (cancel() only discards
// its result), and retire() only gives its place back; but one that has to wait for what a worker runs is queued when
// that has been retired, and can be dropped before. A launch's `started` is when the last launch that it waited for
// was seen to have ended, or when it was queued: what the slice had to spend, as a scheduler counts it.
// Errors: those of the driver; kInvalidArgument for atoms that the gpu does not have, and options out of their bounds.
Result<std::unique_ptr<CudaDevice>> make_cuda_device(std::shared_ptr<Gpu> gpu, const CudaOptions& options);

}  // namespace tessera::device
