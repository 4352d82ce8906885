// The two kernels that frame a captured graph, so that one graph serves whatever requests come, wherever they lie: the
// first node fetches the inputs, the last one delivers the outputs and says that everything has ended.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <memory>
#include <span>

#include "base/ids.h"
#include "base/result.h"
#include "device/cuda/gpu.h"
#include "device/cuda/plan_moves.h"

namespace tessera::device {

// A control block is pinned memory at multiples of 16 that the kernels read afresh at every launch, so that a launch
// changes nothing in the graph. It may be written while no launch that reads it is queued or runs.
// Its bytes for so many moves, of both kernels together: never less than what they read at once.
constexpr std::size_t control_size(std::size_t moves) {
  return sizeof(FrameHeader) + sizeof(Move) * (moves < kMovesAtOnce ? kMovesAtOnce : moves);
}
// `end_word`, `times`: 0 for none.
void write_control(void* block, std::uint64_t end_word, std::uint32_t end_number, std::span<const Move> gathers,
                   std::span<const Move> scatters, std::uint64_t times = 0);

// The kernels, in a card's memory. Immutable.
class PlanKernels {
 public:
  // Loads them whole, so that no launch has to. Error: that of the driver.
  static Result<std::shared_ptr<const PlanKernels>> load(std::shared_ptr<Gpu> gpu);
  ~PlanKernels();
  PlanKernels(const PlanKernels&) = delete;
  PlanKernels& operator=(const PlanKernels&) = delete;

  // Adds both nodes: one before all that the graph has, one after it. `control`: the block's address; `scratch`:
  // kFrameBytes of the card's memory at a multiple of so many, zero at first, that no other plan uses at the same time
  // (those of one lane may share it); `gathered`, `scattered`: the bytes that are moved at most, from which follows how
  // many blocks of threads the kernels have. The nodes carry the gpu's primary context until the graph is homed. Error:
  // that of the driver; then the graph is good for nothing.
  Status frame(CUgraph graph, CUdeviceptr control, CUdeviceptr scratch, Bytes gathered, Bytes scattered) const;

 private:
  explicit PlanKernels(std::shared_ptr<Gpu> gpu) : gpu_(std::move(gpu)) {}
  Result<CUkernel> find(const char* name) const;

  const std::shared_ptr<Gpu> gpu_;
  CUlibrary library_ = nullptr;
  CUkernel gather_ = nullptr;
  CUkernel scatter_ = nullptr;
};

}  // namespace tessera::device
