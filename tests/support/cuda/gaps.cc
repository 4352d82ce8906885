#include "tests/support/cuda/gaps.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <optional>

namespace tessera::device::contract {
namespace {

std::string quantiles(std::vector<double>& values) {
  if (values.empty()) {
    return "{\"n\":0}";
  }
  std::sort(values.begin(), values.end());
  const auto at = [&](std::size_t percent) {
    return values[std::min(values.size() - 1, values.size() * percent / 100)];
  };
  std::array<char, 120> text{};
  std::snprintf(text.data(), text.size(), R"({"n":%zu,"p50":%.2f,"p99":%.2f,"max":%.2f})", values.size(), at(50),
                at(99), values.back());
  return text.data();
}

}  // namespace

Gaps gaps_of(const std::vector<CardSpan>& launches, std::uint16_t atoms) {
  Gaps gaps;
  std::vector<const CardSpan*> last(atoms, nullptr);  // by atom
  std::uint64_t begin = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t end = 0;
  double between = 0;
  double waiting = 0;
  for (const CardSpan& launch : launches) {
    begin = std::min(begin, launch.began_ns);
    end = std::max(end, launch.ended_ns);
    const CardSpan* latest = nullptr;
    bool all_known = true;
    for (std::uint16_t atom = launch.slice.first; atom < launch.slice.end(); ++atom) {
      all_known = all_known && last[atom] != nullptr;
      if (last[atom] != nullptr && (latest == nullptr || last[atom]->ended_ns > latest->ended_ns)) {
        latest = last[atom];
      }
    }
    if (latest != nullptr && all_known) {
      const double gap = static_cast<double>(launch.began_ns) - static_cast<double>(latest->ended_ns);
      gaps.overlaps += gap < 0 ? 1 : 0;
      (latest->slice == launch.slice ? gaps.same_slice_us : gaps.changed_slice_us).push_back(gap / 1000);
      between += std::max(gap, 0.0) * launch.slice.count;
      for (std::uint16_t atom = launch.slice.first; atom < launch.slice.end(); ++atom) {
        waiting += static_cast<double>(latest->ended_ns - last[atom]->ended_ns);
      }
    }
    for (std::uint16_t atom = launch.slice.first; atom < launch.slice.end(); ++atom) {
      last[atom] = &launch;
    }
  }
  if (end > begin) {
    const double all = static_cast<double>(end - begin) * atoms;
    gaps.share = between / all;
    gaps.waiting_share = waiting / all;
  }
  return gaps;
}

std::string to_json(Gaps gaps) {
  std::array<char, 160> text{};
  std::snprintf(text.data(), text.size(), R"({"share":%.5f,"waiting_share":%.5f,"overlaps":%zu)", gaps.share,
                gaps.waiting_share, gaps.overlaps);
  return std::string(text.data()) + ",\"same_slice_us\":" + quantiles(gaps.same_slice_us) +
         ",\"changed_slice_us\":" + quantiles(gaps.changed_slice_us) + "}";
}

}  // namespace tessera::device::contract
