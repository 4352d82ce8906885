// How much longer a small graph takes in one slice while all other processors are full: for every pair of slices.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/cuda/card_kit.h"

namespace tessera::device::contract {

struct PingOptions {
  int pings = 15;           // of which the median counts
  std::size_t awaited = 0;  // launches that wait for events behind the hog meanwhile
  std::chrono::microseconds busy{30};
  // A pair above that ratio is measured again, up to three times in all, after the other pairs of its ping: what the
  // host does to a stretch of a millisecond is over by then, what a shared queue does is not. Its least ratio counts.
  double suspect = 1.10;
};

// Medians of what lies between launching the ping and seeing its end.
struct PairTimes {
  Slice hog;
  Slice ping;
  double alone_us = 0;
  double beside_us = 0;  // infinite: it did not end
  int times = 1;         // that it was measured
  double ratio() const { return beside_us / alone_us; }
};
std::string to_string(const PairTimes& pair);

// Every pair of disjoint slices of the ladder, with what is in neither of them full as well. `tell` hears of each.
std::vector<PairTimes> ping_beside_hogs(CardKit& kit, const PingOptions& options,
                                        const std::function<void(const PairTimes&)>& tell = {});

}  // namespace tessera::device::contract
