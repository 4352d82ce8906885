// What lies between the launches of a device that is always busy: from the last node of one to the first of the next.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/slice.h"

namespace tessera::device::contract {

// One launch, in the order of launching; by one clock.
struct CardSpan {
  Slice slice;
  std::uint64_t began_ns = 0;
  std::uint64_t ended_ns = 0;
};

struct Gaps {
  // From the end of the last of all launches that an atom-sharing one had to wait for; the first on its atoms has none.
  std::vector<double> same_slice_us;     // the one waited for had this slice
  std::vector<double> changed_slice_us;  // it had another
  double share = 0;                      // of these gaps in all atom-time
  double waiting_share = 0;              // atoms that were free waiting for others of a wider slice
  std::size_t overlaps = 0;              // launches that began before one of those had ended: the order is broken
};

Gaps gaps_of(const std::vector<CardSpan>& launches, std::uint16_t atoms);
std::string to_json(Gaps gaps);

}  // namespace tessera::device::contract
