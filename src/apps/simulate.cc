#include "apps/simulate.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "loadgen/text.h"
#include "loadgen/trace.h"
#include "loadgen/workload.h"
#include "model/files.h"
#include "sim/report.h"
#include "sim/scenario.h"

namespace tessera::apps {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxDevices = 1000;
constexpr Bytes kMaxFile{loadgen::kMaxTraceBytes};

Duration seconds(double value) { return Duration(std::llround(value * 1e9)); }

Result<std::string> read(const fs::path& path) {
  auto text = model::read_file(path, kMaxFile);
  return text.ok() ? std::move(text) : Result<std::string>(text.error().in(path.string()));
}

Result<sim::Scenario> read_scenario(const SimulateOptions& options) {
  sim::Scenario scenario;
  TESSERA_ASSIGN_OR_RETURN(const std::string profiles, read(options.profiles));
  TESSERA_ASSIGN_OR_RETURN(scenario.device, sim::choose_device(profiles, options.profiles.string(), options.device));
  TESSERA_ASSIGN_OR_RETURN(const std::string workload, read(options.workload));
  const fs::path folder = options.workload.parent_path();
  TESSERA_ASSIGN_OR_RETURN(scenario.workload,
                           loadgen::parse_workload(workload, options.workload.string(),
                                                   [&](const std::string& name) { return read(folder / name); }));
  return scenario;
}

// One line on a terminal, and nothing elsewhere.
class Progress {
 public:
  Progress() : shown_(isatty(STDERR_FILENO) == 1), begun_(now()) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void at(double done) {
    const TimePoint time = now();
    if (!shown_ || time - last_ < std::chrono::milliseconds(250)) {
      return;
    }
    last_ = time;
    const double spent = std::chrono::duration<double>(time - begun_).count();
    if (spent > 1 && done > 0) {
      std::fprintf(stderr, "\r%3.0f %% simulated, about %.0f s left \033[K", 100 * done, spent / done * (1 - done));
      dirty_ = true;
    }
  }
  void say(const std::string& line) {
    if (shown_) {
      std::fprintf(stderr, "\r%s\033[K", line.c_str());
      dirty_ = true;
    }
  }
  void clear() {
    if (dirty_) {
      std::fprintf(stderr, "\r\033[K");
    }
    dirty_ = false;
  }

 private:
  bool shown_;
  bool dirty_ = false;
  TimePoint begun_;
  TimePoint last_{};
};

sim::RunInfo info_of(const SimulateOptions& options, const sim::Scenario& scenario) {
  return {options.command, scenario.workload.name, scenario.workload.source,
          options.device,  options.policy,         options.devices,
          options.seed};
}

Status write(const fs::path& path, const std::string& text) {
  if (path.empty()) {
    return ok_status();
  }
  std::ofstream file(path);
  file << text;
  file.close();
  return file ? ok_status() : Status(invalid_argument("cannot write " + path.string() + "; choose another --json"));
}

sim::ClusterOptions cluster_options(const SimulateOptions& options) {
  sim::ClusterOptions out;
  out.policy = options.policy;
  out.devices = options.devices;
  out.devices_per_node = options.devices_per_node;
  out.seed = options.seed;
  out.warm_up = seconds(options.warm_seconds);
  out.length = seconds(options.seconds);
  out.profiled = !options.unprofiled;
  return out;
}

Status run_once(const SimulateOptions& options, const sim::Scenario& scenario) {
  TESSERA_ASSIGN_OR_RETURN(const auto tenants, scenario.tenants(options.rate, options.slo_factor));
  TESSERA_ASSIGN_OR_RETURN(const auto cluster, sim::Cluster::make(scenario.device, tenants, cluster_options(options)));
  Progress progress;
  const sim::Outcome outcome = cluster->run([&](double done) { progress.at(done); });
  progress.clear();
  std::fputs(sim::table(tenants, outcome).c_str(), stdout);
  return write(options.json, sim::json(info_of(options, scenario), tenants, outcome));
}

Status search(const SimulateOptions& options, const sim::Scenario& scenario) {
  loadgen::SearchOptions how;
  how.seeds = options.seeds;
  how.start = options.rate.value_or(0);
  Progress progress;
  const auto tries = [&](double rate, std::uint64_t seed) {
    progress.say("trying " + loadgen::digits(rate) + " a second, seed " + std::to_string(seed + 1) + " of " +
                 std::to_string(options.seeds));
  };
  TESSERA_ASSIGN_OR_RETURN(const loadgen::Capacity capacity,
                           scenario.capacity(cluster_options(options), how, options.slo_factor, tries));
  TESSERA_ASSIGN_OR_RETURN(const double bound, scenario.fractional_bound(options.devices, options.slo_factor));
  progress.clear();
  std::printf("capacity %.1f a second, 95 %% sure between %.1f and %.1f, at 99 %% attainment of every tenant\n",
              capacity.rate, capacity.low, capacity.high);
  std::printf("fractional bound %.1f a second: %.1f %% of it reached\n", bound, 100 * capacity.rate / bound);
  return write(options.json, sim::json(info_of(options, scenario), capacity, bound));
}

}  // namespace

void add_simulate_flags(CLI::App& command, SimulateOptions& options) {
  command.add_option("--workload", options.workload, "who asks for what: a file as in bench/workloads")
      ->type_name("FILE")
      ->required();
  command.add_option("--profiles", options.profiles, "latencies as measured: a file as in bench/profiles")
      ->type_name("FILE")
      ->required();
  command.add_option("--device", options.device, "which of the profiles' devices")->type_name("NAME")->required();
  command.add_option("--devices", options.devices, "how many of it (1)")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, kMaxDevices).description(""));
  command.add_option("--devices-per-node", options.devices_per_node, "behind one server (8)")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, kMaxDevices).description(""));
  command.add_option("--policy", options.policy, "as of tessera serve, with options after a colon (tessera)")
      ->type_name("NAME");
  command.add_option("--seed", options.seed, "of arrivals and noise (1)")->type_name("N");
  command.add_option("--seconds", options.seconds, "simulated time that counts (10)")
      ->type_name("S")
      ->check(CLI::Range(0.001, 1e6).description(""));
  command.add_option("--warm-seconds", options.warm_seconds, "simulated time before it (1)")
      ->type_name("S")
      ->check(CLI::Range(0.0, 1e6).description(""));
  command.add_option("--rate", options.rate, "total requests a second (the workload's); with --search where to begin")
      ->type_name("R")
      ->check(CLI::Range(1e-6, 1e9).description(""));
  command.add_option("--slo-factor", options.slo_factor, "in place of the workload's factors of the batch-1 latency")
      ->type_name("X")
      ->check(CLI::Range(0.1, 1e6).description(""));
  command.add_flag("--search", options.search, "the highest total rate at which every tenant attains 99 %");
  command.add_option("--seeds", options.seeds, "of a search, pooled (5)")
      ->type_name("N")
      ->check(CLI::Range(2, 100).description(""));
  command.add_flag("--unprofiled", options.unprofiled, "schedulers know no latency at the start");
  command.add_option("--json", options.json, "file for the results")->type_name("FILE");
}

int simulate(const SimulateOptions& options) {
  const auto scenario = read_scenario(options);
  const Status status = !scenario.ok()   ? Status(scenario.error())
                        : options.search ? search(options, *scenario)
                                         : run_once(options, *scenario);
  if (!status.ok()) {
    std::fprintf(stderr, "tessera simulate: %s\n", status.error().message().c_str());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace tessera::apps
