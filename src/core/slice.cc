#include "core/slice.h"

#include <algorithm>

#include "base/check.h"

namespace tessera {

int DeviceShape::processors_in(const Slice& slice) const {
  TESSERA_CHECK(slice.end() <= atoms());
  int sum = 0;
  for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
    sum += processors[atom];
  }
  return sum;
}

std::vector<Slice> aligned_ladder(std::uint16_t atoms) {
  TESSERA_CHECK(atoms > 0);
  std::vector<Slice> ladder;
  const auto add = [&ladder](int first, int count) {
    const Slice slice{static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(count)};
    if (std::find(ladder.begin(), ladder.end(), slice) == ladder.end()) {
      ladder.push_back(slice);
    }
  };
  for (int size = 1; size < atoms; size *= 2) {
    for (int first = 0; first + size <= atoms; first += size) {
      add(first, size);
    }
  }
  const int three_quarters = atoms * 3 / 4;
  if (three_quarters > 0 && three_quarters < atoms && three_quarters * 4 == atoms * 3) {
    add(0, three_quarters);
    add(atoms - three_quarters, three_quarters);
  }
  add(0, atoms);
  std::stable_sort(ladder.begin(), ladder.end(), [](const Slice& a, const Slice& b) {
    return a.count != b.count ? a.count < b.count : a.first < b.first;
  });
  return ladder;
}

Slice loader_slice(std::uint16_t atoms) {
  TESSERA_CHECK(atoms > 0);
  const auto count = static_cast<std::uint16_t>(std::max(1, atoms / 4));
  return {static_cast<std::uint16_t>(atoms - count), count};
}

}  // namespace tessera
