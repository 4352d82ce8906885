// Several models in closed loop, in process, under one policy after the other: what each way of sharing a device
// answers, and how evenly; of several devices, what each answers alone and all together. Every round runs every policy;
// all of them use the same loaded models.
//
//   bench_gpu_sharing --models DIR [--device cuda:0] [--mix resnet50,mobilenet_v2,resnet50,vgg19] [--batches 1,4,8,16]
//                     [--policy NAME[/COMMITTED]]... [--seconds S] [--rounds N] [--json FILE] [--wait]
//
// DIR is a model repository (bench/models.py makes one). A model that is named twice is loaded twice.
// Inputs come as the models' own configurations say (fp32, converted on the GPU); options are tuned once, before all
// arms. On a GPU bare launches of the same plans, as each policy but tessera would have them, follow it in every round.
// Of all policies, batches and three rounds, one second each: some four minutes.
// COMMITTED, 0 or 1: how many launches an atom takes behind the running one under that policy, if not what the device
// says. --wait: every measurement begins with the next line of standard input, once "ready" stands on standard output,
// so that several processes measure at the same time (bench/mps.py).
#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "apps/devices.h"
#include "base/log.h"
#include "measure/sharing.h"

namespace tessera {
namespace {

constexpr Bytes kMaxBody{std::uint64_t{64} << 20};

struct Arguments {
  measure::SharingOptions sharing;
  std::string device = "auto";
  bool wait = false;
  std::filesystem::path json;
};

measure::Subject subject_of(const std::vector<apps::Computing>& devices) {
  measure::Subject subject{devices.front().kind, "", {}};
  for (const apps::Computing& device : devices) {
    subject.description += (subject.description.empty() ? "" : "; ") + device.description;
    subject.parts.push_back({*device.device, *device.engine});
  }
  return subject;
}

// Error: nobody says so any more.
Status wait_to_begin() {
  std::puts("ready");
  std::fflush(stdout);
  std::string line;
  return std::getline(std::cin, line) ? ok_status() : unavailable("standard input ended before the last measurement");
}

Status run(const Arguments& arguments, const std::string& command) {
  TESSERA_ASSIGN_OR_RETURN(const auto choice, apps::parse_device(arguments.device));
  TESSERA_ASSIGN_OR_RETURN(const auto topology, device::HostTopology::of());
  TESSERA_ASSIGN_OR_RETURN(std::vector<apps::Computing> shared, apps::open_devices(choice, topology, kMaxBody));
  measure::SharingOptions sharing = arguments.sharing;
  sharing.bare = shared.front().kind == "cuda" && !arguments.wait;
  if (arguments.wait) {
    sharing.before_each = wait_to_begin;
  }
  if (!arguments.json.empty()) {
    // What there is, should the rest not come.
    sharing.after_policy = [&](const measure::Run& run) { std::ofstream(arguments.json) << measure::json(run); };
  }
  TESSERA_ASSIGN_OR_RETURN(const measure::Run run, measure::share(subject_of(shared), sharing, command));
  if (!arguments.json.empty()) {
    std::ofstream(arguments.json) << measure::json(run);
  }
  measure::print(run);
  return ok_status();
}

int main(int argc, char** argv) {
  Arguments arguments;
  measure::SharingOptions& sharing = arguments.sharing;
  CLI::App app("Several models in closed loop on one device, under one policy after the other", "bench_gpu_sharing");
  app.add_option("--models", sharing.models, "model repository")->required()->check(CLI::ExistingDirectory);
  app.add_option("--device", arguments.device, "as that of tessera serve (auto)");
  app.add_option("--mix", sharing.mix, "the tenants' models")->delimiter(',');
  app.add_option("--batches", sharing.batches, "rows of a request")->delimiter(',')->check(CLI::Range(1, 1024));
  app.add_option("--policy", sharing.policies, "may be given again and again; NAME/0: nothing committed ahead")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--seconds", sharing.seconds, "measured, for each policy, size and round")
      ->check(CLI::Range(0.05, 600.0));
  app.add_option("--warm-seconds", sharing.warm_seconds, "not measured, before that")->check(CLI::Range(0.0, 600.0));
  app.add_option("--rounds", sharing.rounds)->check(CLI::Range(1, 100));
  app.add_option("--outstanding", sharing.outstanding, "requests of a tenant")->check(CLI::Range(1, 64));
  app.add_option("--lanes", sharing.lanes, "of a model")->check(CLI::Range(1, 64));
  app.add_flag("--wait", arguments.wait, "each measurement begins with a line of standard input");
  app.add_option("--json", arguments.json, "file for the results, written anew after each policy of each round");
  CLI11_PARSE(app, argc, argv);
  std::string command;
  for (int i = 0; i < argc; ++i) {
    command += (i > 0 ? " " : "") + std::string(argv[i]);
  }
  set_up_log(LogFormat::kText, LogLevel::kWarning);
  if (const Status done = run(arguments, command); !done.ok()) {
    std::fprintf(stderr, "bench_gpu_sharing: %s\n", done.error().message().c_str());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) { return tessera::main(argc, argv); }
