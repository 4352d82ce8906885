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
  // By round, then by tenant: bare launches of the same plans, as the policy would have them. Empty: not measured.
  std::vector<std::vector<Measured>> bare = {};
  std::vector<std::size_t> parts = {0};  // the devices that it ran on, by their places
  std::vector<double> polling = {};  // by round: processor time of the busiest thread that looks for ends, as a share
  std::vector<double> cpu_us = {};   // by round: the process's processor time for a row
};

double images(const std::vector<Measured>& round);              // a second, of all tenants
double worst_p99_over_p50(const std::vector<Measured>& round);  // of the tenants

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

// The cell whose bare launches this one is compared with: itself; for the policy tessera, which has no fixed rule, that
// of fixed slices with the same rows. Nothing where they were not measured.
const Cell* bare_for(const Run& run, const Cell& cell);

void print(const Run& run);
std::string json(const Run& run);

}  // namespace tessera::measure
