// Who asks for what, how often: a workload file, and what becomes of it on a device whose latencies are known.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "loadgen/arrivals.h"

namespace tessera::loadgen {

inline constexpr std::size_t kMaxTenants = 10'000;

// One client of one model instance, as the file says. Immutable.
struct TenantSpec {
  std::string name;   // unique in the workload
  std::string model;  // whose latencies it has

  // At most one of the two; without any there is no objective.
  std::optional<Duration> slo;
  std::optional<double> slo_factor;  // of the latency of one row on the whole device

  // Exactly one of the three.
  std::optional<double> rate;      // requests a second, always the same
  std::optional<double> share;     // of the workload's total rate, relative to the other shares
  std::optional<int> outstanding;  // closed loop: the next request follows an answer
  bool by_cost = false;            // its share is divided by the cost of a row in a batch of eight

  Process process;  // unless outstanding
  double weight = 1;
  double reserved_share = 0;
  bool reserved_lend = true;
  double max_share = 1;
  int lanes = 2;
  int max_batch = 16;
  bool best_effort = false;  // slo_policy: requests that are late are answered all the same
  int rows = 1;
};

// For a simulation on a device that has no latencies of a model: those of another one, times a factor. Value.
struct StandIn {
  std::string as;
  double scale = 1;
};

// Immutable.
struct Workload {
  std::string name;
  std::string source;                // where its numbers come from
  std::optional<double> total_rate;  // of the tenants with a share
  std::vector<TenantSpec> tenants;
  std::map<std::string, StandIn> stand_ins{};  // by model
};

// What a workload has to know of a model on a device.
struct ModelCost {
  Duration one{0};    // a batch of one on the whole device
  Duration eight{0};  // a batch of eight there
};

// A tenant with its numbers. Value.
struct Tenant {
  TenantSpec spec;
  std::optional<Duration> slo;
  double rate = 0;  // 0: closed loop
};

// `read` gives the text of another file that is named in this one (a trace), by its name there. Errors name `file`,
// line and column.
Result<Workload> parse_workload(std::string_view text, std::string_view file,
                                const std::function<Result<std::string>(const std::string&)>& read);

// `slo_factor` takes the place of the factors in the file, `total_rate` that of its total; without either where rates
// are shares it is an error. A total given here also scales tenants with a rate of their own, unless some have shares.
Result<std::vector<Tenant>> resolve(const Workload& workload,
                                    const std::function<Result<ModelCost>(const std::string& model)>& cost,
                                    std::optional<double> total_rate, std::optional<double> slo_factor);

}  // namespace tessera::loadgen
