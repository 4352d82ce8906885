// Disjoint slices for shares of a device: max-min fair where they ask for more than there is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sched/ladder_sizes.h"
#include "sched/occupancy.h"

namespace tessera::sched {

struct ShareWish {
  double atoms = 1;
  std::optional<std::size_t> now;  // the slice it has: kept where its size stays
};

// A slice for each wish (not more of them than atoms), in their order. Nobody has less than the smallest slice; from
// there on whoever has least is raised by a size, until it has its wish or nothing fits any more.
std::vector<std::size_t> plan_shares(const Occupancy& device, const LadderSizes& sizes,
                                     std::span<const ShareWish> wishes);

}  // namespace tessera::sched
