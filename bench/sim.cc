// How much each policy carries, in the simulator: tenants by objective, with what a device measured. One process, as
// many threads as asked for; the figures do not depend on how many.
//
//   bench_sim [--workloads DIR] [--profiles FILE] [--device NAME] [--policy NAME]... [--tenants N]... [--slo X]...
//             [--even] [--loads X...] [--threads N] [--json FILE]
#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "bench/mixes.h"
#include "loadgen/text.h"
#include "sched/policy.h"
#include "sim/report.h"
#include "sim/scenario.h"

namespace tessera {
namespace {

struct Arguments {
  MixFiles files;
  std::vector<std::string> policies = {"temporal", "streams", "fixed", "gslice", "dstack", "tessera"};
  std::vector<int> tenants = {4, 8, 16};
  std::vector<double> slos = {5, 10, 20, 50};
  int seeds = 5;
  std::uint64_t least = 5000;
  bool even = false;
  std::vector<double> loads;
  int threads = 2;
  std::string json;
};

// What comes of a multiple of the capacity.
struct Load {
  double of_capacity = 0;
  double goodput = 0;
  double rejected = 0;     // share of what was offered
  double of_admitted = 0;  // share of what was not rejected that is in time
  double worst = 0;        // tenant's attainment
};

// One policy in one cell.
struct Job {
  int tenants = 0;
  double slo = 0;
  std::string policy;
  loadgen::Capacity capacity;
  double fractional = 0;
  double clairvoyant = 0;
  std::vector<Load> loads;
  double seconds = 0;  // of this machine
  std::string error;
};

Result<sim::Scenario> scenario(const Arguments& arguments, int tenants) {
  TESSERA_ASSIGN_OR_RETURN(sim::Scenario out, mix(arguments.files, tenants));
  for (loadgen::TenantSpec& tenant : out.workload.tenants) {
    if (arguments.even) {
      tenant.process = loadgen::Constant{};
    }
  }
  return out;
}

// `fixed` gets equal shares: with rates inverse to cost all tenants ask for about the same.
std::string with_options(const std::string& policy, const sim::Scenario& scenario) {
  if (policy != "fixed") {
    return policy;
  }
  std::string out = policy;
  for (const loadgen::TenantSpec& tenant : scenario.workload.tenants) {
    out += (out == policy ? ":share." : ",share.") + tenant.name + "=" +
           loadgen::digits(1.0 / static_cast<double>(scenario.workload.tenants.size()));
  }
  return out;
}

// Of all seeds together, 10 s each.
Result<Load> play(const sim::Scenario& cell, sim::ClusterOptions options, const Job& job, double of_capacity,
                  int seeds) {
  Load load;
  load.of_capacity = of_capacity;
  TESSERA_ASSIGN_OR_RETURN(const auto tenants, cell.tenants(of_capacity * job.capacity.rate, job.slo));
  std::vector<loadgen::Tally> tallies(tenants.size());
  for (options.seed = 1; options.seed <= static_cast<std::uint64_t>(seeds); ++options.seed) {
    TESSERA_ASSIGN_OR_RETURN(const auto cluster, sim::Cluster::make(cell.device, tenants, options));
    const sim::Outcome outcome = cluster->run({});
    load.goodput += outcome.goodput() / seeds;
    for (std::size_t i = 0; i < tallies.size(); ++i) {
      tallies[i].merge(outcome.tenants[i].tally);
    }
  }
  loadgen::Tally all;
  load.worst = 1;
  for (const loadgen::Tally& tally : tallies) {
    all.merge(tally);
    load.worst = std::min(load.worst, tally.attainment());
  }
  const auto offered = static_cast<double>(all.offered_count());
  const auto rejected = static_cast<double>(all.rejected_count());
  load.rejected = rejected / offered;
  load.of_admitted = static_cast<double>(all.met_count()) / (offered - rejected);
  return load;
}

Status run(const Arguments& arguments, Job& job) {
  TESSERA_ASSIGN_OR_RETURN(const sim::Scenario cell, scenario(arguments, job.tenants));
  TESSERA_ASSIGN_OR_RETURN(job.fractional, cell.fractional_bound(1, job.slo));
  sim::ClusterOptions options;
  options.policy = with_options(job.policy, cell);
  loadgen::SearchOptions how;
  how.seeds = arguments.seeds;
  how.least_requests = arguments.least;
  TESSERA_ASSIGN_OR_RETURN(job.capacity, cell.capacity(options, how, job.slo, {}));
  TESSERA_ASSIGN_OR_RETURN(job.clairvoyant, cell.clairvoyant_bound(options, how, job.slo));
  for (const double of_capacity : job.capacity.rate > 0 ? arguments.loads : std::vector<double>()) {
    TESSERA_ASSIGN_OR_RETURN(const Load load, play(cell, options, job, of_capacity, arguments.seeds));
    job.loads.push_back(load);
  }
  return ok_status();
}

void run_all(const Arguments& arguments, std::vector<Job>& jobs) {
  std::atomic<std::size_t> next{0};
  std::mutex said;
  const TimePoint begun = now();
  const auto work = [&] {
    for (std::size_t i = next++; i < jobs.size(); i = next++) {
      const TimePoint start = now();
      if (const Status status = run(arguments, jobs[i]); !status.ok()) {
        jobs[i].error = status.error().message();
      }
      jobs[i].seconds = std::chrono::duration<double>(now() - start).count();
      const std::lock_guard<std::mutex> lock(said);
      std::fprintf(stderr, "%3.0f s: %d tenants, %gx, %s: %.0f a second (%.1f s)\n",
                   std::chrono::duration<double>(now() - begun).count(), jobs[i].tenants, jobs[i].slo,
                   jobs[i].policy.c_str(), jobs[i].capacity.rate, jobs[i].seconds);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < arguments.threads; ++i) {
    threads.emplace_back(work);
  }
  work();
  for (std::thread& thread : threads) {
    thread.join();
  }
}

const Job* find(const std::vector<Job>& jobs, const Job& like, const std::string& policy) {
  for (const Job& job : jobs) {
    if (job.tenants == like.tenants && job.slo == like.slo && job.policy == policy) {
      return &job;
    }
  }
  return nullptr;
}

void print(const Arguments& arguments, const std::vector<Job>& jobs) {
  std::printf(
      "requests a second at 99 %% attainment of every tenant, and the ratio to temporal\n\ntenants  SLO  fractional  "
      "clairvoyant");
  for (const std::string& policy : arguments.policies) {
    std::printf("%18s", policy.c_str());
  }
  std::printf("\n");
  for (std::size_t i = 0; i < jobs.size(); i += arguments.policies.size()) {
    std::printf("%7d%4gx%12.0f%13.0f", jobs[i].tenants, jobs[i].slo, jobs[i].fractional, jobs[i].clairvoyant);
    const Job* temporal = find(jobs, jobs[i], "temporal");
    for (std::size_t p = 0; p < arguments.policies.size(); ++p) {
      const Job& job = jobs[i + p];
      if (!job.error.empty()) {
        std::printf("%18s", "-");
        continue;
      }
      const double value = temporal == nullptr ? 0 : loadgen::ratio(job.capacity, temporal->capacity).value;
      std::printf("%11.0f (%.2f)", job.capacity.rate, value);
    }
    std::printf("\n");
  }
}

void print_loads(const std::vector<Job>& jobs) {
  std::printf("\ntenants  SLO  policy        of capacity   goodput  rejected  of the admitted in time  worst tenant\n");
  for (const Job& job : jobs) {
    for (const Load& load : job.loads) {
      std::printf("%7d%4gx  %-12s%13.2f%10.0f%8.2f %%%23.2f %%%12.2f %%\n", job.tenants, job.slo, job.policy.c_str(),
                  load.of_capacity, load.goodput, 100 * load.rejected, 100 * load.of_admitted, 100 * load.worst);
    }
  }
}

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

std::string as_json(const Arguments& arguments, const std::vector<Job>& jobs) {
  std::string options = arguments.even ? " --even" : "";
  options += arguments.loads.empty() ? "" : " --loads";
  for (const double load : arguments.loads) {
    options += " " + loadgen::digits(load);
  }
  if (arguments.policies.size() < Arguments().policies.size()) {
    for (const std::string& policy : arguments.policies) {
      options += " --policy " + policy;
    }
  }
  std::string out =
      std::string("{\"command\": \"scripts/bench sim") + options +
      "\", \"profiles\": " + loadgen::quoted(arguments.files.profiles.substr(arguments.files.profiles.rfind('/') + 1)) +
      ", \"device\": " + loadgen::quoted(arguments.files.device) + ", \"seeds\": " + std::to_string(arguments.seeds) +
      ", \"slowest_tenant_requests\": " + std::to_string(arguments.least) + ",\n \"cells\": [";
  for (const Job& job : jobs) {
    const Job* temporal = find(jobs, job, "temporal");
    const loadgen::Ratio ratio =
        temporal == nullptr ? loadgen::Ratio() : loadgen::ratio(job.capacity, temporal->capacity);
    out += &job == jobs.data() ? "\n  " : ",\n  ";
    out += "{\"tenants\": " + std::to_string(job.tenants) + ", \"slo_factor\": " + loadgen::digits(job.slo) +
           ", \"policy\": " + loadgen::quoted(job.policy) + ", \"capacity\": " + loadgen::digits(job.capacity.rate) +
           ", \"capacity_95\": [" + loadgen::digits(job.capacity.low) + ", " + loadgen::digits(job.capacity.high) +
           "], \"goodput\": " + loadgen::digits(job.capacity.goodput) +
           ", \"to_temporal\": " + loadgen::digits(ratio.value) + ", \"to_temporal_95\": [" +
           loadgen::digits(ratio.low) + ", " + loadgen::digits(ratio.high) +
           "], \"fractional_bound\": " + loadgen::digits(job.fractional) +
           ", \"clairvoyant_bound\": " + loadgen::digits(job.clairvoyant) +
           (job.loads.empty() ? "" : ", \"loads\": " + as_json(job.loads)) + "}";
  }
  return out + "\n ]}\n";
}

int main_of(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("How much each policy carries, in the simulator", "bench_sim");
  app.add_option("--workloads", arguments.files.workloads, "folder with mixN.json");
  app.add_option("--profiles", arguments.files.profiles, "latencies as measured");
  app.add_option("--device", arguments.files.device, "one of the profiles'");
  app.add_option("--policy", arguments.policies, "which to compare; those that this build lacks are left out");
  app.add_option("--tenants", arguments.tenants, "4, 8, 16");
  app.add_option("--slo", arguments.slos, "objectives as multiples of one row on the whole device");
  app.add_option("--seeds", arguments.seeds, "pooled")->check(CLI::Range(2, 100));
  app.add_option("--requests", arguments.least, "that the slowest tenant sees over all seeds");
  app.add_flag("--even", arguments.even, "each tenant's requests at equal distances: what bursts cost");
  app.add_option("--loads", arguments.loads, "multiples of the capacity found, to be played, too");
  app.add_option("--threads", arguments.threads, "of this machine")->check(CLI::Range(1, 256));
  app.add_option("--json", arguments.json, "file for the results");
  CLI11_PARSE(app, argc, argv);

  std::vector<std::string> known;
  for (const std::string& policy : arguments.policies) {
    if (sched::make_policy(policy).ok() || policy == "fixed") {
      known.push_back(policy);
    }
  }
  arguments.policies = known;
  std::vector<Job> jobs;
  for (const int tenants : arguments.tenants) {
    for (const double slo : arguments.slos) {
      for (const std::string& policy : arguments.policies) {
        jobs.push_back({tenants, slo, policy, {}, 0, 0, {}, 0, {}});
      }
    }
  }
  run_all(arguments, jobs);
  print(arguments, jobs);
  if (!arguments.loads.empty()) {
    print_loads(jobs);
  }
  int status = EXIT_SUCCESS;
  for (const Job& job : jobs) {
    if (!job.error.empty()) {
      std::fprintf(stderr, "bench_sim: %s: %s\n", job.policy.c_str(), job.error.c_str());
      status = EXIT_FAILURE;
    }
  }
  if (!arguments.json.empty()) {
    const Status written = write_text(arguments.json, as_json(arguments, jobs));
    if (!written.ok()) {
      std::fprintf(stderr, "bench_sim: %s\n", written.error().message().c_str());
      status = EXIT_FAILURE;
    }
  }
  return status;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) { return tessera::main_of(argc, argv); }
