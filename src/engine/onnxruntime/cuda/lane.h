// A lane on a gpu: the memory that one batch of a model at a time runs in.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "device/cuda/device_memory.h"
#include "device/cuda/plan_frame.h"
#include "device/cuda/pointer_audit.h"
#include "engine/onnxruntime/cuda/cuda_parts.h"

namespace tessera::engine {

// Made and captured in by the loader thread. From then on the memory belongs to one launch at a time: begin() to end(),
// by whoever launches and whoever sees it end.
class Lane {
 public:
  // `moves`: of the largest bucket, input parts, padding and outputs together.
  static Result<std::unique_ptr<Lane>> make(const CudaParts& parts, std::shared_ptr<device::MemoryBudget> budget,
                                            std::size_t moves);

  HeapSource& memory() { return *memory_; }
  device::NamedRange addresses(std::string name) const {
    const CUdeviceptr base = memory_->region().base();
    return {base, base + memory_->region().mapped().value, std::move(name)};
  }
  CUdeviceptr control() const { return reinterpret_cast<CUdeviceptr>(control_->bytes().data()); }
  CUdeviceptr scratch() const { return scratch_; }

  // What the frame of the next launch does: to be written between begin() and the launch. A header, then the moves.
  device::FrameHeader& header() { return *reinterpret_cast<device::FrameHeader*>(control_->bytes().data()); }
  std::span<device::Move> moves() { return {reinterpret_cast<device::Move*>(&header() + 1), max_moves_}; }

  // False: a launch of this lane is under way, whose memory the next one would overwrite.
  bool begin() { return !busy_.exchange(true, std::memory_order_acquire); }
  void end() { busy_.store(false, std::memory_order_release); }

  // What the launch under way reads and writes in the host's memory.
  std::shared_ptr<device::StagingBlock> outputs;
  std::unique_ptr<device::StagingBlock> gathered;  // inputs that did not lie in pinned memory; null: all did

 private:
  Lane(const CudaParts& parts, std::unique_ptr<device::DeviceRegion> region, std::size_t moves)
      : max_moves_(moves), memory_(*parts.allocator, std::move(region)) {}

  const std::size_t max_moves_;
  Registered<HeapSource> memory_;
  std::unique_ptr<device::StagingBlock> control_;
  CUdeviceptr scratch_ = 0;
  std::atomic<bool> busy_{false};
};

// The lanes of a model, each made when it is asked for first. Owned by the loader thread.
class Lanes {
 public:
  Lanes(const CudaParts& parts, std::shared_ptr<device::MemoryBudget> budget, std::size_t moves, std::size_t count)
      : parts_(parts), budget_(std::move(budget)), moves_(moves), lanes_(count) {}

  Result<Lane*> at(LaneIndex lane);
  // The memory of those that there are, but for that one.
  std::vector<device::NamedRange> others(LaneIndex lane) const;

 private:
  const CudaParts& parts_;
  const std::shared_ptr<device::MemoryBudget> budget_;
  const std::size_t moves_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace tessera::engine
