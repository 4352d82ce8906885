// One policy in one cell: what it carries, and what comes of multiples of that. And what is said of many such.
#pragma once

#include <string>
#include <vector>

#include "bench/mixes.h"
#include "loadgen/search.h"

namespace tessera {

struct Arguments {
  MixFiles files;
  std::vector<std::string> policies = {"temporal", "streams", "fixed", "gslice", "dstack", "tessera"};
  std::vector<int> tenants = {4, 8, 16};
  std::vector<double> slos = {5, 10, 20, 50};
  std::vector<std::string> named;  // workloads in place of the mixes, with their own objectives
  int seeds = 5;
  std::uint64_t least = 5000;
  bool even = false;
  std::vector<double> loads;
  int threads = 2;
  std::string json;
  std::string command;  // that all this was asked with
};

// What comes of a multiple of the capacity.
struct Load {
  double of_capacity = 0;
  double goodput = 0;
  double rejected = 0;     // share of what was offered
  double of_admitted = 0;  // share of what was not rejected that is in time
  double worst = 0;        // tenant's attainment
};

struct Job {
  std::string workload;  // a file's name
  int tenants = 0;       // 0: a workload with objectives of its own
  double slo = 0;
  std::string policy;
  std::uint64_t requests = 0;  // of the slowest tenant
  loadgen::Capacity capacity{};
  double fractional = 0;
  double clairvoyant = 0;
  bool has_bound = false;  // it is for this one to find the clairvoyant bound
  std::vector<Load> loads{};
  double seconds = 0;  // of this machine
  std::string error{};

  bool same_cell(const Job& other) const { return workload == other.workload && slo == other.slo; }
};

// The table, what is said of all cells together, and what became of multiples of the capacity.
void print(const Arguments& arguments, const std::vector<Job>& jobs);
std::string as_json(const Arguments& arguments, const std::vector<Job>& jobs, double seconds);

}  // namespace tessera
