#include "apps/simulate.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <tuple>

#include "apps/progress.h"
#include "apps/workload_files.h"
#include "loadgen/text.h"
#include "model/files.h"
#include "sim/placement_log.h"
#include "sim/replay.h"
#include "sim/report.h"
#include "sim/scenario.h"

namespace tessera::apps {
namespace {

constexpr std::size_t kMaxDevices = 1000;
constexpr double kMostSeconds = 1e6;
constexpr Duration kPlacing = std::chrono::seconds(1);
constexpr Bytes kMaxJournal{std::uint64_t{2} << 30};  // twice what a server records

Result<sim::Scenario> read_scenario(const SimulateOptions& options) {
  sim::Scenario scenario;
  TESSERA_ASSIGN_OR_RETURN(const std::string profiles, read_text(options.profiles));
  TESSERA_ASSIGN_OR_RETURN(scenario.device, sim::choose_device(profiles, options.profiles.string(), options.device));
  if (options.memory_mb) {
    scenario.device.memory = Bytes{*options.memory_mb * 1'000'000};
  }
  TESSERA_ASSIGN_OR_RETURN(scenario.workload, read_workload(options.workload));
  TESSERA_RETURN_IF_ERROR(scenario.device.stand_in(scenario.workload));
  return scenario;
}

sim::RunInfo info_of(const SimulateOptions& options, const sim::Scenario& scenario) {
  return {options.command, scenario.workload.name, scenario.workload.source,
          options.device,  options.policy,         options.devices,
          options.seed};
}

// "1@2.5" of --lose and --join.
Result<sim::DeviceChange> parse_change(const std::string& text, bool lost) {
  sim::DeviceChange out;
  out.lost = lost;
  double after = 0;
  const char* const end = text.data() + text.size();
  const auto [at, bad_device] = std::from_chars(text.data(), end, out.device);
  const bool parted = bad_device == std::errc() && at != end && *at == '@';
  const auto [rest, bad_time] = std::from_chars(parted ? at + 1 : end, end, after);
  if (!parted || bad_time != std::errc() || rest != end || !(after >= 0 && after <= kMostSeconds)) {
    return invalid_argument("'" + text + "' is no device and moment, as 1@2.5 (seconds from when counting begins)")
        .in(lost ? "--lose" : "--join");
  }
  out.after = seconds(after);
  return out;
}

Result<std::vector<sim::DeviceChange>> changes_of(const SimulateOptions& options) {
  std::vector<sim::DeviceChange> out;
  for (const bool lost : {true, false}) {
    for (const std::string& text : lost ? options.lose : options.join) {
      TESSERA_ASSIGN_OR_RETURN(out.emplace_back(), parse_change(text, lost));
    }
  }
  return out;
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

// A line of CSV for each batch, as it ends.
class RunsFile {
 public:
  explicit RunsFile(const std::filesystem::path& path) : path_(path), file_(path) {
    file_ << "tenant,device,rows,batch_size,first_atom,atoms,begin_ns,end_ns\n";
  }
  void add(const sim::BatchRun& run, const std::string& tenant) {
    file_ << tenant << ',' << run.device << ',' << run.rows << ',' << run.bucket << ',' << run.slice.first << ','
          << run.slice.count << ',' << run.begin.time_since_epoch().count() << ',' << run.end.time_since_epoch().count()
          << '\n';
  }
  Status written() {
    file_.flush();
    return file_ ? ok_status() : Status(invalid_argument("cannot write " + path_.string() + "; choose another --runs"));
  }

 private:
  const std::filesystem::path path_;
  std::ofstream file_;
};

Status run_once(const SimulateOptions& options, const sim::Scenario& scenario) {
  TESSERA_ASSIGN_OR_RETURN(const auto tenants, scenario.tenants(options.rate, options.slo_factor));
  sim::ClusterOptions how = cluster_options(options);
  TESSERA_ASSIGN_OR_RETURN(how.changes, changes_of(options));
  std::optional<sim::PlacementLog> placement;
  if (options.evictable) {
    how.placing = kPlacing;
    placement.emplace(tenants, how);
    how.moved = [&](const sim::Move& move) { placement->moved(move); };
    how.answered = [&](const sim::Answer& answer) { placement->answered(answer); };
  }
  std::optional<RunsFile> runs;
  if (!options.runs.empty()) {
    runs.emplace(options.runs);
    TESSERA_RETURN_IF_ERROR(runs->written());
    how.ran = [&](const sim::BatchRun& run) { runs->add(run, tenants[run.tenant].spec.name); };
  }
  TESSERA_ASSIGN_OR_RETURN(const auto cluster, sim::Cluster::make(scenario.device, tenants, how));
  Progress progress;
  const sim::Outcome outcome = cluster->run([&](double done) { progress.at(done, "simulated"); });
  progress.clear();
  std::fputs(sim::table(tenants, outcome).c_str(), stdout);
  std::fputs(placement ? placement->line().c_str() : "", stdout);
  TESSERA_RETURN_IF_ERROR(runs ? runs->written() : ok_status());
  const std::string log = placement ? placement->json() : "";
  return write_text(options.json, sim::json(info_of(options, scenario), tenants, outcome, log), "--json");
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
  TESSERA_ASSIGN_OR_RETURN(const double fractional, scenario.fractional_bound(options.devices, options.slo_factor));
  progress.say("what could be carried by who knew all arrivals beforehand");
  TESSERA_ASSIGN_OR_RETURN(const double clairvoyant,
                           scenario.clairvoyant_bound(cluster_options(options), how, options.slo_factor));
  progress.clear();
  std::printf("capacity %.1f a second, 95 %% sure between %.1f and %.1f, at 99 %% attainment of every tenant\n",
              capacity.rate, capacity.low, capacity.high);
  std::printf("fractional bound %.1f a second: %.1f %% of it reached\n", fractional, 100 * capacity.rate / fractional);
  std::printf("clairvoyant bound %.1f a second: %.1f %% of it reached\n", clairvoyant,
              100 * capacity.rate / clairvoyant);
  return write_text(options.json, sim::json(info_of(options, scenario), capacity, fractional, clairvoyant), "--json");
}

// Whether all decisions were the same.
Result<bool> replay(const SimulateOptions& options) {
  auto journal = model::read_file(options.replay, kMaxJournal);
  if (!journal.ok()) {
    return journal.error().in(options.replay.string());
  }
  Progress progress;
  const auto again = sim::replay(*journal, [&](double done) { progress.at(done, "replayed"); });
  progress.clear();
  if (!again.ok()) {
    return again.error().in(options.replay.string());
  }
  std::fputs(sim::replay_text(*again).c_str(), stdout);
  TESSERA_RETURN_IF_ERROR(write_text(options.json, sim::replay_json(*again, options.command), "--json"));
  return !again->difference;
}

void refuse_mixtures(const CLI::App& command) {
  const bool replays = command.count("--replay") > 0;
  for (const CLI::Option* option : command.get_options()) {
    const std::string name = option->get_name();
    const bool either = name == "--replay" || name == "--json" || option == command.get_help_ptr();
    if (replays && !either && option->count() > 0) {
      throw CLI::ValidationError(name, "has no effect with --replay, which decides as the recorded server did");
    }
  }
  for (const char* needed : {"--workload", "--profiles", "--device"}) {
    if (!replays && command.count(needed) == 0) {
      throw CLI::RequiredError(std::string(needed) + " (or --replay alone)");
    }
  }
}

}  // namespace

void add_simulate_flags(CLI::App& command, SimulateOptions& options) {
  command.add_option("--workload", options.workload, "who asks for what: a file as in bench/workloads")
      ->type_name("FILE");
  command.add_option("--profiles", options.profiles, "latencies as measured: a file as in bench/profiles")
      ->type_name("FILE");
  command.add_option("--device", options.device, "which of the profiles' devices")->type_name("NAME");
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
      ->check(CLI::Range(0.001, kMostSeconds).description(""));
  command.add_option("--warm-seconds", options.warm_seconds, "simulated time before it (1)")
      ->type_name("S")
      ->check(CLI::Range(0.0, kMostSeconds).description(""));
  command.add_option("--rate", options.rate, "total requests a second (the workload's); with --search where to begin")
      ->type_name("R")
      ->check(CLI::Range(1e-6, 1e9).description(""));
  command.add_option("--slo-factor", options.slo_factor, "in place of the workload's factors of the batch-1 latency")
      ->type_name("X")
      ->check(CLI::Range(0.1, 1e6).description(""));
  CLI::Option* const searches =
      command.add_flag("--search", options.search, "the highest total rate at which every tenant attains 99 %");
  for (const auto& [name, into, what] :
       {std::tuple("--lose", &options.lose, "a device is lost S seconds after counting begins,\nrepeatedly"),
        std::tuple("--join", &options.join, "a device is there only from then on, repeatedly")}) {
    command.add_option(name, *into, what)->type_name("DEVICE@S")->excludes(searches);
  }
  command
      .add_flag("--evictable", options.evictable,
                "models may leave for others while nobody asks for\nthem, and come back when somebody does")
      ->excludes(searches);
  command.add_option("--memory-mb", options.memory_mb, "that each device has for models (the profile's)")
      ->type_name("MB")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}).description(""));
  command.add_option("--seeds", options.seeds, "of a search, pooled (5)")
      ->type_name("N")
      ->check(CLI::Range(2, 100).description(""));
  command.add_flag("--unprofiled", options.unprofiled, "schedulers know no latency at the start");
  command
      .add_option("--replay", options.replay,
                  "instead of all that: what tessera serve --record\nwrote, decided again and compared")
      ->type_name("FILE");
  command.add_option("--json", options.json, "file for the results")->type_name("FILE");
  command.add_option("--runs", options.runs, "file for a line (CSV) of each batch that ran")
      ->type_name("FILE")
      ->excludes(searches);
  command.callback([&command] { refuse_mixtures(command); });
}

int simulate(const SimulateOptions& options) {
  if (!options.replay.empty()) {
    const auto same = replay(options);
    if (!same.ok()) {
      std::fprintf(stderr, "tessera simulate: %s\n", same.error().message().c_str());
    }
    return same.ok() && *same ? EXIT_SUCCESS : EXIT_FAILURE;
  }
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
