// What was measured, as a table and as JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tessera::measure {

// Of one tenant in one round.
struct Measured {
  double per_second = 0;  // rows
  double p50_ms = 0;
  double p99_ms = 0;
};

struct Cell {
  std::string policy;
  std::int64_t rows = 0;                      // of a request
  std::vector<std::vector<Measured>> rounds;  // by round, then by tenant
  std::vector<double> dispatching = {};       // by round: the share of the time in which the dispatcher's role was held
  double bare_per_s = 0;  // rows of bare launches of the same plans, as the policy would have them; 0: not measured
  std::vector<std::size_t> parts = {0};  // the devices that it ran on, by their places
};

struct Run {
  std::string command;
  std::string device;
  std::string engine;
  std::vector<std::string> tenants;
  double seconds = 0;
  int outstanding = 0;
  int lanes = 0;
  std::vector<Cell> cells;
};

void print(const Run& run);
std::string json(const Run& run);

}  // namespace tessera::measure
