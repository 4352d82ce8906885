// The sizes of a device's slices, counted in atoms: what policies choose among that give a model a share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sched/occupancy.h"

namespace tessera::sched {

// Immutable. A size is named by its number of atoms and must be one that is there.
class LadderSizes {
 public:
  explicit LadderSizes(const Occupancy& device);

  std::span<const std::uint16_t> all() const { return sizes_; }  // ascending
  // The smallest size that holds so many atoms, or the largest there is.
  std::uint16_t holding(double atoms) const;
  // The next smaller size; the smallest of all for itself.
  std::uint16_t below(std::uint16_t size) const;
  std::span<const std::size_t> slices(std::uint16_t size) const { return slices_[place(size)]; }
  // Of the slices of that size, those with fewest processors: the last atom of a device may be larger.
  std::size_t group(std::uint16_t size) const { return groups_[place(size)]; }

 private:
  std::size_t place(std::uint16_t size) const;

  std::vector<std::uint16_t> sizes_;
  std::vector<std::size_t> groups_;
  std::vector<std::vector<std::size_t>> slices_;
};

}  // namespace tessera::sched
