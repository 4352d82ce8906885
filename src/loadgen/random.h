// Random numbers that are the same with every standard library: its generators are specified, its distributions not.
#pragma once

#include <cstdint>
#include <random>

namespace tessera::loadgen {

// Another seed for each `stream` of one seed, so that what one tenant draws does not depend on the others.
std::uint64_t seed_of(std::uint64_t seed, std::uint64_t stream);

// Owned by one thread.
class Random {
 public:
  explicit Random(std::uint64_t seed) : bits_(seed) {}

  double uniform();            // in (0, 1)
  double exponential();        // mean 1
  double normal();             // mean 0, deviation 1
  double bell();               // the same but for its tails, which end at 6: twelve uniforms, no logarithm
  double gamma(double shape);  // mean `shape`; Marsaglia and Tsang, ACM TOMS 26 (2000)

 private:
  std::mt19937_64 bits_;
};

}  // namespace tessera::loadgen
