#include "apps/fit.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "apps/number_option.h"
#include "apps/progress.h"
#include "apps/workload_files.h"
#include "sim/fit.h"
#include "sim/scenario.h"

namespace tessera::apps {
namespace {

constexpr std::size_t kMostDevices = 1000;
constexpr int kDoesNotFit = 3;

Result<sim::DeviceProfile> read_device(const FitOptions& options) {
  TESSERA_ASSIGN_OR_RETURN(const std::string text, read_text(options.profiles));
  const std::string file = options.profiles.string();
  if (!options.device.empty()) {
    return sim::choose_device(text, file, options.device);
  }
  TESSERA_ASSIGN_OR_RETURN(auto known, sim::parse_profiles(text, file));
  if (known.size() != 1) {
    return invalid_argument(file + " has " + std::to_string(known.size()) + " devices: say which with --device");
  }
  return std::move(known.begin()->second);
}

Result<sim::FitQuestion> read_question(const FitOptions& options) {
  sim::FitQuestion out;
  TESSERA_ASSIGN_OR_RETURN(out.device, read_device(options));
  if (!options.workload.empty()) {
    sim::Scenario scenario;
    scenario.device = out.device;
    TESSERA_ASSIGN_OR_RETURN(scenario.workload, read_workload(options.workload));
    TESSERA_RETURN_IF_ERROR(scenario.device.stand_in(scenario.workload));
    out.device = scenario.device;
    TESSERA_ASSIGN_OR_RETURN(out.present, scenario.tenants(options.workload_rate, std::nullopt));
  }
  loadgen::TenantSpec& spec = out.candidate.spec;
  spec.model = options.model;
  spec.name = options.name.empty() ? options.model : options.name;
  const auto taken = [&](const loadgen::Tenant& tenant) { return tenant.spec.name == spec.name; };
  if (std::any_of(out.present.begin(), out.present.end(), taken)) {
    if (!options.name.empty()) {
      return invalid_argument("the workload has a tenant '" + spec.name + "' already: give --name another one");
    }
    spec.name = "another " + options.model;
  }
  spec.slo = out.candidate.slo =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(options.slo_ms));
  spec.rate = out.candidate.rate = options.rate;
  spec.max_batch = options.max_batch;
  spec.lanes = options.lanes;
  spec.weight = options.weight;
  out.policy = options.policy;
  out.devices = options.devices;
  out.devices_per_node = options.devices_per_node;
  out.most_devices = std::max(options.most_devices, options.devices);
  out.seed = options.seed;
  out.least_requests = options.requests;
  return out;
}

Result<bool> run(const FitOptions& options) {
  TESSERA_ASSIGN_OR_RETURN(const sim::FitQuestion question, read_question(options));
  Progress progress;
  int runs = 0;
  const auto go_on = [&](const std::string& about) {
    progress.say("run " + std::to_string(++runs) + ": " + about);
    return true;
  };
  TESSERA_ASSIGN_OR_RETURN(const sim::FitAnswer answer, sim::fit(question, go_on));
  progress.clear();
  std::printf("%s%s", sim::table(answer).c_str(), sim::verdict(question, answer).c_str());
  TESSERA_RETURN_IF_ERROR(write_text(options.json, sim::json(question, answer), "--json"));
  return answer.fits;
}

}  // namespace

void add_fit_flags(CLI::App& command, FitOptions& options) {
  command.add_option("--profiles", options.profiles, "latencies as measured: what tessera profile\nwrites with --json")
      ->type_name("FILE")
      ->required();
  command.add_option("--workload", options.workload, "who is there: a file as in bench/workloads\n(nobody)")
      ->type_name("FILE");
  command.add_option("--device", options.device, "which of the profiles' devices (the only one)")->type_name("NAME");
  command.add_option("--model", options.model, "that is to be loaded: one of the profiles'")
      ->type_name("NAME")
      ->required();
  command.add_option("--slo-ms", options.slo_ms, "its objective")
      ->type_name("MS")
      ->required()
      ->check(CLI::Range(0.001, 3.6e6).description(""));
  command.add_option("--rate", options.rate, "its requests a second, Poisson")
      ->type_name("R")
      ->required()
      ->check(CLI::Range(1e-3, 1e7).description(""));
  command.add_option("--name", options.name, "of the tenant in the answer (the model's)")->type_name("NAME");
  number_option(command, "--max-batch", "N", 1, 1024, options.max_batch, "its largest batch (16)");
  number_option(command, "--lanes", "N", 1, 64, options.lanes, "its batches at once (2)");
  number_option(command, "--weight", "W", 1e-3, 1e6, options.weight, "where not all demand fits (1)");
  command
      .add_option("--workload-rate", options.workload_rate,
                  "total requests a second of those that are\nthere (the workload's)")
      ->type_name("R")
      ->check(CLI::Range(1e-6, 1e9).description(""));
  number_option(command, "--devices", "N", 1, kMostDevices, options.devices, "how many there are (1)");
  number_option(command, "--devices-per-node", "N", 1, kMostDevices, options.devices_per_node, "behind one server (8)");
  number_option(command, "--most-devices", "N", 1, kMostDevices, options.most_devices,
                "to think of where it does not fit (64)");
  command.add_option("--policy", options.policy, "as of tessera serve (tessera)")->type_name("NAME");
  command.add_option("--seed", options.seed, "of arrivals and noise (1)")->type_name("N");
  number_option(command, "--requests", "N", 100, 1e6, options.requests,
                "that each tenant sees in a try, where they are\nnot too rare (2000)");
  command.add_option("--json", options.json, "file for the answer")->type_name("FILE");
  command.footer("Ends with status 0 where it fits and 3 where it does not.");
}

int fit(const FitOptions& options) {
  const auto fits = run(options);
  if (!fits.ok()) {
    std::fprintf(stderr, "tessera fit: %s\n", fits.error().message().c_str());
    return EXIT_FAILURE;
  }
  return *fits ? EXIT_SUCCESS : kDoesNotFit;
}

}  // namespace tessera::apps
