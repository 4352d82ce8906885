#include <algorithm>
#include <cmath>
#include <cstdio>

#include "bench/sim_cells/cells.h"
#include "loadgen/text.h"

namespace tessera {
namespace {

// Simulated, it carries more than on a card, by 15 to 18 % in the mixes (docs/simulation.md).
constexpr const char* kOverSaid = "streams";

const Job* find(const std::vector<Job>& jobs, const Job& like, const std::string& policy) {
  const auto found = std::find_if(jobs.begin(), jobs.end(),
                                  [&](const Job& job) { return job.same_cell(like) && job.policy == policy; });
  return found == jobs.end() || !found->error.empty() ? nullptr : &*found;
}

bool is_first_of_cell(const std::vector<Job>& jobs, const Job& job) {
  return &job == jobs.data() || !job.same_cell(*(&job - 1));
}

// What tessera carries over another; nothing where that one carries nothing, which any ratio would be.
std::optional<loadgen::Ratio> over(const std::vector<Job>& jobs, const Job& cell, const std::string& rival) {
  const Job* ours = find(jobs, cell, "tessera");
  const Job* theirs = find(jobs, cell, rival);
  if (ours == nullptr || theirs == nullptr || theirs->capacity.rate == 0) {
    return std::nullopt;
  }
  return loadgen::ratio(ours->capacity, theirs->capacity);
}

// Geometric mean over cells.
class Mean {
 public:
  void add(double value) {
    logs_ += std::log(value);
    ++count_;
  }
  void print(const char* what) const {
    if (count_ > 0) {
      std::printf("tessera over %s: %.3f (geometric mean of %d cells)\n", what, std::exp(logs_ / count_), count_);
    }
  }

 private:
  double logs_ = 0;
  int count_ = 0;
};

void print_capacities(const Arguments& arguments, const std::vector<Job>& jobs) {
  std::printf(
      "requests a second at 99 %% attainment of every tenant, and the ratio to temporal (%s: more than a card does)\n\n"
      "%-16s SLO  fractional  clairvoyant",
      kOverSaid, "workload");
  for (const std::string& policy : arguments.policies) {
    std::printf("%16s", policy.c_str());
  }
  for (const Job& job : jobs) {
    if (is_first_of_cell(jobs, job)) {
      const std::string slo = job.slo > 0 ? loadgen::digits(job.slo) + "x" : "own";
      std::printf("\n%-15s%5s%12.0f%13.0f", job.workload.c_str(), slo.c_str(), job.fractional, job.clairvoyant);
    }
    const Job* temporal = find(jobs, job, "temporal");
    const double base = temporal == nullptr ? 0 : temporal->capacity.rate;
    if (job.error.empty()) {
      std::printf("%9.0f (%.2f)", job.capacity.rate, base > 0 ? job.capacity.rate / base : 0);
    } else {
      std::printf("%16s", "-");
    }
  }
  std::printf("\n");
}

void print_ratios(const Arguments& arguments, const std::vector<Job>& jobs) {
  std::printf("\ntessera over each rival, with the lower end of the 95 %% interval\n%-16s SLO", "workload");
  for (const std::string& policy : arguments.policies) {
    std::printf("%16s", policy == "tessera" ? "/ clairvoyant" : policy.c_str());
  }
  Mean best;
  Mean best_without;
  Mean over_gslice;
  for (const Job& job : jobs) {
    if (is_first_of_cell(jobs, job)) {
      const std::string slo = job.slo > 0 ? loadgen::digits(job.slo) + "x" : "own";
      std::printf("\n%-15s%5s", job.workload.c_str(), slo.c_str());
    }
    const auto ratio = over(jobs, job, job.policy);
    if (job.policy == "tessera") {
      std::printf("%16.2f", job.clairvoyant > 0 ? job.capacity.rate / job.clairvoyant : 0);
      double most = 0;
      double most_without = 0;
      for (const std::string& rival : arguments.policies) {
        const Job* other = rival == "tessera" ? nullptr : find(jobs, job, rival);
        const double rate = other == nullptr ? 0 : other->capacity.rate;
        most = std::max(most, rate);
        most_without = std::max(most_without, rival == kOverSaid ? 0 : rate);
      }
      if (most > 0 && job.capacity.rate > 0) {
        best.add(job.capacity.rate / most);
      }
      if (most_without > 0 && job.capacity.rate > 0) {
        best_without.add(job.capacity.rate / most_without);
      }
    } else if (ratio) {
      std::printf("%8.2f (>%.2f)", ratio->value, ratio->low);
    } else {
      std::printf("%16s", "-");
    }
    if (job.policy == "gslice" && ratio && ratio->value > 0) {
      over_gslice.add(ratio->value);
    }
  }
  std::printf("\n\n");
  best.print("the best rival");
  best_without.print("the best rival but streams");
  over_gslice.print("gslice, where that carries anything");
}

void print_loads(const std::vector<Job>& jobs) {
  std::printf(
      "\nworkload         SLO  policy        of capacity   goodput  rejected  of the admitted in time  worst tenant\n");
  for (const Job& job : jobs) {
    for (const Load& load : job.loads) {
      std::printf("%-15s%4gx  %-12s%13.2f%10.0f%8.2f %%%23.2f %%%12.2f %%\n", job.workload.c_str(), job.slo,
                  job.policy.c_str(), load.of_capacity, load.goodput, 100 * load.rejected, 100 * load.of_admitted,
                  100 * load.worst);
    }
  }
}

std::string pair(double low, double high) { return "[" + loadgen::digits(low) + ", " + loadgen::digits(high) + "]"; }

std::string as_json(const std::vector<Load>& loads) {
  std::string out;
  for (const Load& load : loads) {
    out += std::string(out.empty() ? "[" : ", ") + "{\"of_capacity\": " + loadgen::digits(load.of_capacity) +
           ", \"goodput\": " + loadgen::digits(load.goodput) + ", \"rejected\": " + loadgen::digits(load.rejected) +
           ", \"of_admitted\": " + loadgen::digits(load.of_admitted) + ", \"worst\": " + loadgen::digits(load.worst) +
           "}";
  }
  return out + "]";
}

std::string as_json(const std::vector<Job>& jobs, const Job& job) {
  std::string out = "{\"workload\": " + loadgen::quoted(job.workload);
  if (job.tenants > 0) {
    out += ", \"tenants\": " + std::to_string(job.tenants) + ", \"slo_factor\": " + loadgen::digits(job.slo);
  }
  out += ", \"policy\": " + loadgen::quoted(job.policy);
  if (!job.error.empty()) {
    return out + ", \"error\": " + loadgen::quoted(job.error) + "}";
  }
  out += ", \"capacity\": " + loadgen::digits(job.capacity.rate) +
         ", \"capacity_95\": " + pair(job.capacity.low, job.capacity.high) +
         ", \"goodput\": " + loadgen::digits(job.capacity.goodput);
  const Job* temporal = find(jobs, job, "temporal");
  if (temporal != nullptr) {
    const loadgen::Ratio ratio = loadgen::ratio(job.capacity, temporal->capacity);
    out +=
        ", \"to_temporal\": " + loadgen::digits(ratio.value) + ", \"to_temporal_95\": " + pair(ratio.low, ratio.high);
  }
  if (const auto ratio = over(jobs, job, job.policy); ratio && job.policy != "tessera") {
    out += ", \"tessera_over_it\": " + loadgen::digits(ratio->value) +
           ", \"tessera_over_it_95\": " + pair(ratio->low, ratio->high);
  }
  return out + ", \"fractional_bound\": " + loadgen::digits(job.fractional) +
         ", \"clairvoyant_bound\": " + loadgen::digits(job.clairvoyant) +
         ", \"slowest_tenant_requests\": " + std::to_string(job.requests) +
         ", \"seconds\": " + loadgen::digits(job.seconds) +
         (job.loads.empty() ? "" : ", \"loads\": " + as_json(job.loads)) + "}";
}

}  // namespace

void print(const Arguments& arguments, const std::vector<Job>& jobs) {
  print_capacities(arguments, jobs);
  print_ratios(arguments, jobs);
  if (!arguments.loads.empty()) {
    print_loads(jobs);
  }
}

std::string as_json(const Arguments& arguments, const std::vector<Job>& jobs, double seconds) {
  std::string out = "{\"command\": " + loadgen::quoted(arguments.command) +
                    ", \"profiles\": " + loadgen::quoted(file_name(arguments.files.profiles)) +
                    ", \"device\": " + loadgen::quoted(arguments.files.device) +
                    ", \"seeds\": " + std::to_string(arguments.seeds) + ", \"seconds\": " + loadgen::digits(seconds) +
                    ", \"threads\": " + std::to_string(arguments.threads) + ",\n \"cells\": [";
  for (const Job& job : jobs) {
    out += (&job == jobs.data() ? "\n  " : ",\n  ") + as_json(jobs, job);
  }
  return out + "\n ]}\n";
}

}  // namespace tessera
