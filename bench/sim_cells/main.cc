// How much each policy carries, in the simulator: tenants by objective, or workloads with their own, with what a device
// measured. One process, as many threads as asked for; the figures do not depend on how many.
//
//   bench_sim_cells [--workloads DIR] [--profiles FILE] [--device NAME] [--policy NAME]... [--tenants N]... [--slo
//   X]...
//                   [--named NAME...] [--even] [--loads X...] [--threads N] [--json FILE]
#include <CLI/CLI.hpp>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "bench/sim_cells/cells.h"
#include "loadgen/text.h"
#include "sched/policy.h"

namespace tessera {
namespace {

// With a tight objective attainment hardly falls with the rate, so that it takes more requests to tell where.
constexpr double kTight = 5;
constexpr std::uint64_t kMoreRequests = 3;
constexpr double kGrid = 1e5;

Result<sim::Scenario> scenario(const Arguments& arguments, const std::string& workload) {
  TESSERA_ASSIGN_OR_RETURN(sim::Scenario out, scenario_of(arguments.files, workload));
  for (loadgen::TenantSpec& tenant : out.workload.tenants) {
    if (arguments.even) {
      tenant.process = loadgen::Constant{};
    }
  }
  return out;
}

// `fixed` gets shares by what each tenant asks for, in batches of eight, an atom at least where there are enough: in
// the mixes, with rates inverse to cost, equal ones. Closed loops share what is left with the others.
Result<std::string> with_options(const std::string& policy, const sim::Scenario& scenario) {
  if (policy != "fixed") {
    return policy;
  }
  TESSERA_ASSIGN_OR_RETURN(const auto tenants, scenario.tenants(1.0, {}));
  const auto count = static_cast<double>(tenants.size());
  const double atom = std::min(1.0 / scenario.device.shape.atoms(), 1.0 / count);
  std::vector<double> asked;
  double all = 0;
  for (const loadgen::Tenant& tenant : tenants) {
    TESSERA_ASSIGN_OR_RETURN(const auto* model, scenario.device.model(tenant.spec.model));
    asked.push_back(tenant.rate * static_cast<double>(scenario.device.whole(*model, 8).count()));
    all += asked.back();
  }
  std::string out = policy;
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    const double exact = atom + (1 - count * atom) * (all > 0 ? asked[i] / all : 1 / count);
    const double share = std::floor(exact * kGrid + 1e-6) / kGrid;  // so that they never add up to more than 1
    out += (i == 0 ? ":share." : ",share.") + tenants[i].spec.name + "=" + loadgen::digits(share);
  }
  return out;
}

// Of all seeds together, 10 s each.
Result<Load> play(const sim::Scenario& cell, sim::ClusterOptions options, const Job& job, double of_capacity,
                  int seeds) {
  Load load;
  load.of_capacity = of_capacity;
  const auto slo = job.slo > 0 ? std::optional(job.slo) : std::nullopt;
  TESSERA_ASSIGN_OR_RETURN(const auto tenants, cell.tenants(of_capacity * job.capacity.rate, slo));
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
  const auto slo = job.slo > 0 ? std::optional(job.slo) : std::nullopt;
  TESSERA_ASSIGN_OR_RETURN(const sim::Scenario cell, scenario(arguments, job.workload));
  TESSERA_ASSIGN_OR_RETURN(job.fractional, cell.fractional_bound(1, slo));
  sim::ClusterOptions options;
  TESSERA_ASSIGN_OR_RETURN(options.policy, with_options(job.policy, cell));
  loadgen::SearchOptions how;
  how.seeds = arguments.seeds;
  how.least_requests = job.requests;
  TESSERA_ASSIGN_OR_RETURN(job.capacity, cell.capacity(options, how, slo, {}));
  if (job.has_bound) {
    TESSERA_ASSIGN_OR_RETURN(job.clairvoyant, cell.clairvoyant_bound(options, how, slo));
  }
  for (const double of_capacity : job.capacity.rate > 0 ? arguments.loads : std::vector<double>()) {
    TESSERA_ASSIGN_OR_RETURN(const Load load, play(cell, options, job, of_capacity, arguments.seeds));
    job.loads.push_back(load);
  }
  return ok_status();
}

void run_all(const Arguments& arguments, std::vector<Job>& jobs) {
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> done{0};
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
      const double passed = std::chrono::duration<double>(now() - begun).count();
      const auto part = static_cast<double>(++done) / static_cast<double>(jobs.size());
      std::fprintf(stderr, "%3.0f s, about %.0f left: %s, %gx, %s: %.0f a second (%.1f s)\n", passed,
                   passed / part - passed, jobs[i].workload.c_str(), jobs[i].slo, jobs[i].policy.c_str(),
                   jobs[i].capacity.rate, jobs[i].seconds);
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
  for (std::size_t i = 1; i < jobs.size(); ++i) {
    jobs[i].clairvoyant = jobs[i].has_bound ? jobs[i].clairvoyant : jobs[i - 1].clairvoyant;
  }
}

std::vector<Job> jobs_of(const Arguments& arguments) {
  std::vector<Job> jobs;
  const auto cell = [&](const std::string& workload, int tenants, double slo) {
    const bool tight = slo > 0 && slo <= kTight;
    for (const std::string& policy : arguments.policies) {
      jobs.push_back({workload, tenants, slo, policy, arguments.least * (tight ? kMoreRequests : 1)});
      jobs.back().has_bound = policy == arguments.policies.front();  // the same for all of a cell
    }
  };
  for (const std::string& workload : arguments.named) {
    cell(workload, 0, 0);
  }
  for (const int tenants : arguments.named.empty() ? arguments.tenants : std::vector<int>()) {
    for (const double slo : arguments.slos) {
      cell("mix" + std::to_string(tenants), tenants, slo);
    }
  }
  return jobs;
}

int main_of(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("How much each policy carries, in the simulator", "bench_sim_cells");
  app.add_option("--workloads", arguments.files.workloads, "folder with mixN.json");
  app.add_option("--profiles", arguments.files.profiles, "latencies as measured");
  app.add_option("--device", arguments.files.device, "one of the profiles'");
  app.add_option("--policy", arguments.policies, "which to compare; those that this build lacks are left out");
  app.add_option("--tenants", arguments.tenants, "4, 8, 16");
  app.add_option("--slo", arguments.slos, "objectives as multiples of one row on the whole device");
  app.add_option("--named", arguments.named, "instead: workloads of the folder, with their own objectives");
  app.add_option("--seeds", arguments.seeds, "pooled")->check(CLI::Range(2, 100));
  app.add_option("--requests", arguments.least,
                 "that the slowest tenant sees over all seeds; at 5x three times as many");
  app.add_flag("--even", arguments.even, "each tenant's requests at equal distances: what bursts cost");
  app.add_option("--loads", arguments.loads, "multiples of the capacity found, to be played, too");
  app.add_option("--threads", arguments.threads, "of this machine")->check(CLI::Range(1, 256));
  app.add_option("--json", arguments.json, "file for the results");
  CLI11_PARSE(app, argc, argv);
  arguments.command = command_of("scripts/bench sim_cells", argc, argv);
  std::erase_if(arguments.policies,
                [](const std::string& policy) { return policy != "fixed" && !sched::make_policy(policy).ok(); });

  std::vector<Job> jobs = jobs_of(arguments);
  const TimePoint begun = now();
  run_all(arguments, jobs);
  print(arguments, jobs);
  int status = EXIT_SUCCESS;
  for (const Job& job : jobs) {
    if (!job.error.empty()) {
      std::fprintf(stderr, "bench_sim_cells: %s, %s: %s\n", job.workload.c_str(), job.policy.c_str(),
                   job.error.c_str());
      status = EXIT_FAILURE;
    }
  }
  if (!arguments.json.empty()) {
    const double seconds = std::chrono::duration<double>(now() - begun).count();
    if (const Status written = write_text(arguments.json, as_json(arguments, jobs, seconds)); !written.ok()) {
      std::fprintf(stderr, "bench_sim_cells: %s\n", written.error().message().c_str());
      status = EXIT_FAILURE;
    }
  }
  return status;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) { return tessera::main_of(argc, argv); }
