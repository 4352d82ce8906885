#include "loadgen/random.h"

#include <cmath>

namespace tessera::loadgen {

std::uint64_t seed_of(std::uint64_t seed, std::uint64_t stream) {
  // SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), over both.
  std::uint64_t z = seed + 0x9e3779b97f4a7c15U * (stream + 1);
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

double Random::uniform() { return (static_cast<double>(bits_() >> 11U) + 0.5) / 9007199254740992.0; }

double Random::exponential() { return -std::log(uniform()); }

double Random::normal() {
  for (;;) {  // Marsaglia's polar method
    const double x = 2 * uniform() - 1;
    const double y = 2 * uniform() - 1;
    const double square = x * x + y * y;
    if (square > 0 && square < 1) {
      return x * std::sqrt(-2 * std::log(square) / square);
    }
  }
}

double Random::bell() {
  double sum = -6.0;
  for (int i = 0; i < 12; ++i) {
    sum += uniform();
  }
  return sum;
}

double Random::gamma(double shape) {
  if (shape < 1) {
    const double power = std::pow(uniform(), 1 / shape);
    return gamma(shape + 1) * power;
  }
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal();
    const double root = 1 + c * x;
    if (root <= 0) {
      continue;
    }
    const double v = root * root * root;
    if (std::log(uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) {
      return d * v;
    }
  }
}

}  // namespace tessera::loadgen
