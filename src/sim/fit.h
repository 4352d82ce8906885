// Whether one more tenant fits beside those that are there, before it is loaded: by simulation, with measured
// latencies.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "loadgen/workload.h"
#include "sim/cluster.h"
#include "sim/profiles.h"

namespace tessera::sim {

struct FitQuestion {
  DeviceProfile device;                  // with the latencies of all models, the candidate's too
  std::vector<loadgen::Tenant> present;  // may be empty
  loadgen::Tenant candidate;             // with an objective and a rate
  std::string policy = "tessera";
  std::size_t devices = 1;
  std::size_t devices_per_node = 8;
  std::uint64_t seed = 1;

  double attainment = 0.99;  // that the candidate is to have, and everybody who has it without the candidate
  // What the answer may cost. A simulated run is long enough that each tenant with an objective sees `least_requests`,
  // as far as no run has more than `most_requests` of all tenants together.
  int seeds = 2;  // arrivals of their own; outcomes are pooled
  std::uint64_t least_requests = 2000;
  std::uint64_t most_requests = 200'000;
  std::size_t most_devices = 64;  // asked about, where these do not do
};

// Of one tenant, without the candidate and with it. Value.
struct FitTenant {
  std::string name;
  std::string model;
  std::optional<Duration> slo;
  double rate = 0;                         // 0: closed loop
  std::optional<loadgen::Tally> before{};  // nothing: the candidate
  loadgen::Tally after{};
  bool suffers = false;  // it misses with the candidate what it had without, or is the candidate and misses
};

// Value.
struct FitAnswer {
  bool fits = false;
  std::vector<FitTenant> tenants;  // those present in their order, then the candidate
  // Where it does not fit: what of each alone would do, the rest as asked. Nothing: nothing of it would.
  std::optional<double> highest_rate;
  std::optional<Duration> smallest_slo;
  std::optional<std::size_t> devices;
  std::size_t runs = 0;  // simulated
  bool complete = true;  // otherwise it was told to stop before all of the above was known
  bool sure = true;      // otherwise runs were too short to tell 99 % of some tenant
};

// `go_on` is asked before each run, with what it is about; false ends the search. Same question, same answer, as long
// as it is not ended. Error: unknown policy, a model without profile or room, a candidate without objective or rate.
Result<FitAnswer> fit(const FitQuestion& question, const std::function<bool(const std::string& about)>& go_on);

// An object of JSON.
std::string json(const FitQuestion& question, const FitAnswer& answer);
std::string table(const FitAnswer& answer);
// "It fits." or what would have to change, as sentences.
std::string verdict(const FitQuestion& question, const FitAnswer& answer);

}  // namespace tessera::sim
