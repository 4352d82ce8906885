// What everything of one gpu's engine shares.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "device/cuda/cuda_device.h"
#include "device/cuda/plan_frame.h"
#include "engine/onnxruntime/copy_counter.h"
#include "engine/onnxruntime/cuda/device_allocator.h"
#include "engine/onnxruntime/cuda/provider_calls.h"
#include "engine/onnxruntime/environment.h"

namespace tessera::engine {

class Replicas;

// What a batch has in the host's memory lies one behind the other, each aligned to this.
inline constexpr std::size_t kBatchAlignment = 64;

constexpr std::size_t batch_aligned(std::size_t size) {
  return (size + kBatchAlignment - 1) / kBatchAlignment * kBatchAlignment;
}

// Where ONNX Runtime's work goes: it is queued on `stream`, and what the provider takes from the driver itself comes
// from `scratch`, which is a session's own, and may hold other bytes in each.
struct WorkPlace {
  CUstream stream = nullptr;
  HeapSource* scratch = nullptr;
};

// What engines of one process have in common, those of one gpu all of it. Immutable value.
struct CudaShared {
  std::shared_ptr<device::Gpu> gpu;
  std::shared_ptr<DeviceAllocator> allocator;
  std::shared_ptr<const device::PlanKernels> kernels;
  std::shared_ptr<Replicas> replicas;  // of all gpus
};

// Immutable. The device outlives it.
struct CudaParts {
  device::CudaDevice& device;
  std::shared_ptr<device::Gpu> gpu;
  std::shared_ptr<const Environment> environment;
  std::shared_ptr<CopyCounter> copies;
  std::shared_ptr<DeviceAllocator> allocator;
  std::shared_ptr<const device::PlanKernels> kernels;
  std::shared_ptr<Replicas> replicas;  // of all gpus of this process
  std::unique_ptr<ProviderCalls::LoaderHandles> handles;
  // For what first runs leave behind in a session, and for searching algorithms: no lane's memory. The loader thread's.
  std::unique_ptr<Registered<HeapSource>> scratch;

  const device::Driver& driver() const { return gpu->driver(); }
  WorkPlace loader_place() const { return {device.build_stream(), &**scratch}; }
};

// While it lives the calling thread has ONNX Runtime make or run something at `place`, with memory from `source`. Owned
// by that thread, whose the place is; nests.
class WorkingAt {
 public:
  WorkingAt(const WorkPlace& place, MemorySource& source) : from_(source), load_(place.stream, *place.scratch) {}

 private:
  const DeviceAllocator::From from_;
  const ProviderCalls::Load load_;
};

}  // namespace tessera::engine
