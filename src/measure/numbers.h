// What all measurements do with times.
#pragma once

#include <algorithm>
#include <vector>

#include "base/time.h"

namespace tessera::measure {

inline double ms(Duration span) { return static_cast<double>(span.count()) * 1e-6; }

// The upper one of two in the middle; 0 of none.
inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

}  // namespace tessera::measure
