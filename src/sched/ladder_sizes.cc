#include "sched/ladder_sizes.h"

#include <algorithm>

#include "base/check.h"

namespace tessera::sched {

// Slices come smallest first.
LadderSizes::LadderSizes(const Occupancy& device) {
  for (std::size_t index = 0; index < device.slices().size(); ++index) {
    const Occupancy::SliceState& state = device.slice(index);
    if (sizes_.empty() || sizes_.back() != state.slice.count) {
      TESSERA_CHECK(sizes_.empty() || sizes_.back() < state.slice.count);
      sizes_.push_back(state.slice.count);
      groups_.push_back(state.group);
      slices_.emplace_back();
    }
    groups_.back() = std::min(groups_.back(), state.group);
    slices_.back().push_back(index);
  }
}

std::uint16_t LadderSizes::holding(double atoms) const {
  const auto at = std::find_if(sizes_.begin(), sizes_.end(), [&](std::uint16_t size) { return size >= atoms - 1e-9; });
  return at == sizes_.end() ? sizes_.back() : *at;
}

std::uint16_t LadderSizes::below(std::uint16_t size) const {
  const std::size_t at = place(size);
  return sizes_[at == 0 ? 0 : at - 1];
}

std::size_t LadderSizes::place(std::uint16_t size) const {
  const auto at = std::lower_bound(sizes_.begin(), sizes_.end(), size);
  TESSERA_CHECK(at != sizes_.end() && *at == size);
  return static_cast<std::size_t>(at - sizes_.begin());
}

}  // namespace tessera::sched
