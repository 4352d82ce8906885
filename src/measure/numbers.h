// What all measurements do with times and other numbers.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "base/time.h"

namespace tessera::measure {

inline double ms(Duration span) { return static_cast<double>(span.count()) * 1e-6; }

inline Duration seconds_of(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

// The upper one of two in the middle; 0 of none.
inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

// Of values: the middle one (of two the mean) and how far they lie apart; zeros of none.
struct Spread {
  double median = 0;
  double least = 0;
  double most = 0;
};

inline Spread spread(std::vector<double> values) {
  if (values.empty()) {
    return {};
  }
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  const double middle = values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {middle, values.front(), values.back()};
}

}  // namespace tessera::measure
