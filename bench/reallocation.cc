// What lies between the batches of several models that always have some waiting, in process: per atom, from the end of
// a batch's last node to the begin of the next one's first, by the card's clock; and how soon the host knows of ends.
//
//   bench_reallocation --models DIR [--device cuda:0] [--mix resnet50,mobilenet_v2,resnet50,vgg19] [--batches 1,8,16]
//                      [--arm changing|tessera|atoms]... [--seconds S] [--rounds N] [--lanes N] [--waiting N]
//                      [--json FILE]
//
// DIR is a model repository (bench/models.py makes one). A model that is named twice is loaded twice. Arms
// (measure/reallocation.h): "changing": slices of changing sizes, one batch committed behind the running one;
// "tessera": the server's policy; "atoms": one batch in each atom. On a device that is no card, the device's reports
// stand for the card's clock.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "apps/devices.h"
#include "base/log.h"
#include "measure/reallocation.h"

namespace tessera {
namespace {

constexpr Bytes kMaxBody{std::uint64_t{64} << 20};

Status run(const std::string& device, const measure::ReallocationOptions& options, const std::string& command,
           const std::filesystem::path& json) {
  TESSERA_ASSIGN_OR_RETURN(const auto choice, apps::parse_device(device));
  TESSERA_ASSIGN_OR_RETURN(const auto topology, device::HostTopology::of());
  TESSERA_ASSIGN_OR_RETURN(std::vector<apps::Computing> devices, apps::open_devices(choice, topology, kMaxBody));
  apps::Computing& first = devices.front();
  const auto write = [&](const measure::Reallocation& result) {
    if (!json.empty()) {
      std::ofstream(json) << measure::json(result);
    }
  };
  TESSERA_ASSIGN_OR_RETURN(
      const measure::Reallocation result,
      measure::reallocate({first.kind, first.description, *first.device, *first.engine}, options, command, write));
  write(result);
  measure::print(result);
  return ok_status();
}

int main(int argc, char** argv) {
  measure::ReallocationOptions options;
  std::string device = "auto";
  std::filesystem::path json;
  CLI::App app("What lies between the batches of several models that always have some waiting", "bench_reallocation");
  app.add_option("--models", options.models, "model repository")->required()->check(CLI::ExistingDirectory);
  app.add_option("--device", device, "as that of tessera serve (auto)");
  app.add_option("--mix", options.mix, "the tenants' models")->delimiter(',');
  app.add_option("--batches", options.batches, "rows of a batch")->delimiter(',')->check(CLI::Range(1, 1024));
  app.add_option("--arm", options.arms, "may be given again and again: changing, tessera, atoms (all)")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->check(CLI::IsMember({"changing", "tessera", "atoms"}));
  app.add_option("--seconds", options.seconds, "measured, for each arm, size and round")
      ->check(CLI::Range(0.05, 600.0));
  app.add_option("--warm-seconds", options.warm_seconds, "not measured, before that")->check(CLI::Range(0.0, 600.0));
  app.add_option("--rounds", options.rounds)->check(CLI::Range(1, 100));
  app.add_option("--lanes", options.lanes, "of a model")->check(CLI::Range(1, 64));
  app.add_option("--waiting", options.waiting, "requests of a tenant beyond those in its lanes")
      ->check(CLI::Range(0, 64));
  app.add_option("--json", json, "file for the results, written anew after each arm and size of each round");
  CLI11_PARSE(app, argc, argv);
  std::string command;
  for (int i = 0; i < argc; ++i) {
    command += (i > 0 ? " " : "") + std::string(argv[i]);
  }
  set_up_log(LogFormat::kText, LogLevel::kWarning);
  if (const Status done = run(device, options, command, json); !done.ok()) {
    std::fprintf(stderr, "bench_reallocation: %s\n", done.error().message().c_str());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) { return tessera::main(argc, argv); }
