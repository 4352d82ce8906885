// Two lanes of a make-believe model that run at once, and the mistake that lanes are there against: memory that both
// of them use.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "device/cuda/pointer_audit.h"
#include "tests/support/cuda/card_kit.h"

namespace tessera::device::contract {

// Each lane's graph copies its input to where activations lie, waits until it is let go, and copies them to its output.
// Owned by one thread.
class LanePair {
 public:
  // Aliased: the second lane's activations lie in the first one's memory.
  LanePair(CardKit& kit, bool aliased);

  // What the pointer audit says of a lane, the other one being foreign.
  Status audit(std::size_t lane) const;

  // Both at once, in slices of their own, with inputs that differ. Returns how many of the two outputs are not their
  // lane's input.
  int wrong_of_two(unsigned char value);

 private:
  static constexpr std::size_t kPart = 4096;  // bytes of an input, of activations, of an output
  static constexpr std::size_t kLaneBytes = 4 * kPart;

  CUdeviceptr at(std::size_t lane) const { return kit_.memory() + lane * kLaneBytes; }
  NamedRange range(std::size_t lane) const;

  CardKit& kit_;
  std::array<std::unique_ptr<MappedMemory>, 2> gates_;
  std::array<OwnedGraph, 2> sources_;
  std::vector<HomedGraph> homed_;
};

}  // namespace tessera::device::contract
