// Atoms, slices and the ladder of slices that a device offers. Shared by device/ (which runs them) and sched/ (which
// chooses them).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tessera {

// A contiguous run of atoms of one device. Immutable value.
struct Slice {
  std::uint16_t first = 0;
  std::uint16_t count = 0;

  std::uint16_t end() const { return static_cast<std::uint16_t>(first + count); }
  bool contains(std::uint16_t atom) const { return atom >= first && atom < end(); }
  bool overlaps(const Slice& other) const { return first < other.end() && other.first < end(); }
  friend constexpr auto operator<=>(const Slice&, const Slice&) = default;
};

// What a scheduler has to know of a device. Immutable.
struct DeviceShape {
  std::string name;                       // "host", "cuda:0"; part of the key of cached profiles
  std::vector<std::uint16_t> processors;  // per atom: SMs of a GPU, 1 for a core; the last atom may differ
  std::vector<Slice> ladder;              // every slice the device can run, smallest first, then by position
  Slice loader;                           // the slice that loads and measurements borrow
  // Launches that an atom takes behind the running one: worth it where a launch takes a round trip to begin.
  std::uint16_t committed_per_atom = 0;
  // Copies of requests' inputs into memory of its own that may be outstanding. 0: launches read them where they lie.
  std::uint16_t copies = 0;
  // A launch here takes about what was predicted: one that takes many times as long will never end, and cannot be
  // stopped. Not so on a host's cores, where whatever else computes slows a run down.
  bool steady = false;

  std::uint16_t atoms() const { return static_cast<std::uint16_t>(processors.size()); }
  Slice whole() const { return {0, atoms()}; }
  int processors_in(const Slice& slice) const;
};

// The aligned ladder: sizes 1, 2, 4, 8, 16, ... at multiples of their size, three quarters of the device at either end
// (where that is a size of its own), and the whole device. At most about 2.2 slices an atom.
std::vector<Slice> aligned_ladder(std::uint16_t atoms);

// The upper quarter of the atoms, at least one.
Slice loader_slice(std::uint16_t atoms);

}  // namespace tessera
