#include "sched/share_plan.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "base/check.h"

namespace tessera::sched {
namespace {

// Largest first, each in the first slice of its size that is free: on an aligned ladder that leaves no gaps. Nothing
// where they do not all find one.
std::optional<std::vector<std::size_t>> pack(const Occupancy& device, const LadderSizes& sizes,
                                             std::span<const ShareWish> wishes,
                                             const std::vector<std::uint16_t>& given) {
  if (std::accumulate(given.begin(), given.end(), 0) > device.shape().atoms()) {
    return std::nullopt;
  }
  const auto stays = [&](std::size_t i) {
    return wishes[i].now && device.slice(*wishes[i].now).slice.count == given[i];
  };
  std::vector<std::size_t> order(wishes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::tuple(-given[a], !stays(a), a) < std::tuple(-given[b], !stays(b), b);
  });
  std::vector<char> taken(device.shape().atoms(), 0);
  std::vector<std::size_t> slices(wishes.size());
  const auto take_if_free = [&](std::size_t i, std::size_t index) {
    const Slice slice = device.slice(index).slice;
    const auto first = taken.begin() + slice.first;
    if (std::any_of(first, first + slice.count, [](char atom) { return atom != 0; })) {
      return false;
    }
    std::fill(first, first + slice.count, char{1});
    slices[i] = index;
    return true;
  };
  for (const std::size_t i : order) {
    const std::span<const std::size_t> fitting = sizes.slices(given[i]);
    const bool placed =
        (stays(i) && take_if_free(i, *wishes[i].now)) ||
        std::any_of(fitting.begin(), fitting.end(), [&](std::size_t index) { return take_if_free(i, index); });
    if (!placed) {
      return std::nullopt;
    }
  }
  return slices;
}

}  // namespace

std::vector<std::size_t> plan_shares(const Occupancy& device, const LadderSizes& sizes,
                                     std::span<const ShareWish> wishes) {
  TESSERA_CHECK(wishes.size() <= device.shape().atoms());
  std::vector<std::uint16_t> given(wishes.size(), sizes.all().front());
  auto best = pack(device, sizes, wishes, given);
  TESSERA_CHECK(best.has_value());
  std::vector<char> settled(wishes.size(), 0);
  for (;;) {
    std::optional<std::size_t> least;
    for (std::size_t i = 0; i < wishes.size(); ++i) {
      const bool wants_more = settled[i] == 0 && given[i] < sizes.holding(wishes[i].atoms);
      if (wants_more && (!least || given[i] < given[*least])) {
        least = i;
      }
    }
    if (!least) {
      return *best;
    }
    const std::uint16_t before = given[*least];
    given[*least] = sizes.holding(before + 1);
    if (auto packed = pack(device, sizes, wishes, given)) {
      best = std::move(packed);
    } else {
      given[*least] = before;
      settled[*least] = 1;
    }
  }
}

}  // namespace tessera::sched
