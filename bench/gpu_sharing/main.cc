// Several models in closed loop on one device, in process, under one policy after the other: what each way of sharing
// answers, and how evenly. Every round runs every policy; all of them use the same loaded models.
//
//   bench_gpu_sharing --models DIR [--device cuda:0] [--mix resnet50,mobilenet_v2,resnet50,vgg19] [--batches 1,4,8,16]
//                     [--policy NAME[/COMMITTED]]... [--seconds S] [--rounds N] [--json FILE] [--wait]
//
// DIR is a model repository (bench/models.py makes one). A model that is named twice is loaded twice.
// COMMITTED, 0 or 1: how many launches an atom takes behind the running one under that policy, if not what the device
// says. --wait: every measurement begins with the next line of standard input, once "ready" stands on standard output,
// so that several processes measure at the same time (bench/mps.py).
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/devices.h"
#include "base/clock.h"
#include "base/log.h"
#include "report.h"
#include "runtime/service.h"
#include "shared_parts.h"
#include "tenant.h"

namespace tessera::bench {
namespace {

namespace fs = std::filesystem;

constexpr Bytes kMaxBody{std::uint64_t{64} << 20};
constexpr std::chrono::seconds kHomingPatience{60};
constexpr std::chrono::seconds kDrain{30};

struct Arguments {
  fs::path models;
  std::string device = "auto";
  std::vector<std::string> mix{"resnet50", "mobilenet_v2", "resnet50", "vgg19"};
  std::vector<std::int64_t> batches{1, 4, 8, 16};
  std::vector<std::string> policies{"temporal", "streams", "fixed", "tessera"};
  double seconds = 2;
  double warm_seconds = 1;
  int rounds = 3;
  int outstanding = 2;
  int lanes = 2;
  bool wait = false;
  fs::path json;
};

// A repository with a folder for each tenant, gone at the end. Owned by the main thread.
class Repository {
 public:
  explicit Repository(fs::path folder) : folder_(std::move(folder)) {}
  ~Repository() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  Repository(const Repository&) = delete;
  Repository& operator=(const Repository&) = delete;

  const fs::path& folder() const { return folder_; }

  // No request is joined to another, so that a batch is what a request brings.
  void add(const std::string& name, const fs::path& model, const Arguments& arguments) const {
    fs::create_directories(folder_ / name / "1");
    for (const auto& file : fs::directory_iterator(model / "1")) {
      std::error_code failed;
      const fs::path to = folder_ / name / "1" / file.path().filename();
      fs::create_hard_link(file.path(), to, failed);
      if (failed) {
        fs::copy_file(file.path(), to);
      }
    }
    std::ofstream(folder_ / name / "config.pbtxt")
        << "max_batch_size: " << *std::max_element(arguments.batches.begin(), arguments.batches.end())
        << "\ninstance_group [ { count: " << arguments.lanes << " } ]\n";
  }

 private:
  const fs::path folder_;
};

// The tenants' names, in the order of the mix.
Result<std::vector<std::string>> fill(const Repository& repository, const Arguments& arguments) {
  std::map<std::string, int> seen;
  std::vector<std::string> names;
  for (const std::string& model : arguments.mix) {
    if (!fs::is_directory(arguments.models / model / "1")) {
      return not_found("there is no version 1 of a model '" + model + "' in " + arguments.models.string());
    }
    const int count = ++seen[model];
    names.push_back(count == 1 ? model : model + "_" + std::to_string(count));
    repository.add(names.back(), arguments.models / model, arguments);
  }
  return names;
}

double ms(Duration span) { return static_cast<double>(span.count()) * 1e-6; }

Measured summary(std::vector<Answer> answers, std::int64_t rows, Duration length) {
  if (answers.empty()) {
    return {};
  }
  std::sort(answers.begin(), answers.end(), [](const Answer& a, const Answer& b) { return a.took < b.took; });
  const double seconds = std::chrono::duration<double>(length).count();
  return {static_cast<double>(answers.size()) * static_cast<double>(rows) / seconds,
          ms(answers[answers.size() / 2].took), ms(answers[answers.size() * 99 / 100].took)};
}

Duration seconds_of(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

Result<std::vector<Measured>> measure(runtime::Service& service, const std::vector<std::string>& names,
                                      std::int64_t rows, const Arguments& arguments) {
  std::vector<std::unique_ptr<Tenant>> tenants;
  for (const std::string& name : names) {
    TESSERA_ASSIGN_OR_RETURN(const auto instance, service.find(name, std::nullopt));
    TESSERA_ASSIGN_OR_RETURN(auto tenant, Tenant::make(service, *instance, rows, arguments.outstanding));
    tenants.push_back(std::move(tenant));
  }
  for (const auto& tenant : tenants) {
    tenant->start();
  }
  const TimePoint from = now() + seconds_of(arguments.warm_seconds);
  const TimePoint until = from + seconds_of(arguments.seconds);
  std::this_thread::sleep_for(until - now());
  for (const auto& tenant : tenants) {
    tenant->stop();
  }
  std::vector<Measured> measured;
  for (const auto& tenant : tenants) {
    measured.push_back(summary(tenant->answers(from, until), rows, until - from));
  }
  return measured;
}

// Error: nobody says so any more.
Status wait_to_begin() {
  std::puts("ready");
  std::fflush(stdout);
  std::string line;
  return std::getline(std::cin, line) ? ok_status() : unavailable("standard input ended before the last measurement");
}

// "temporal/0" is the policy temporal with nothing committed behind the running launch.
struct Arm {
  std::string policy;
  std::optional<std::uint16_t> committed;
};

Result<Arm> parse_arm(const std::string& text) {
  const std::size_t slash = text.rfind('/');
  if (slash == std::string::npos) {
    return Arm{text, std::nullopt};
  }
  const std::string committed = text.substr(slash + 1);
  if (committed != "0" && committed != "1") {
    return invalid_argument("--policy '" + text + "': after the slash stands 0 or 1");
  }
  return Arm{text.substr(0, slash), static_cast<std::uint16_t>(committed == "1" ? 1 : 0)};
}

// One policy, all batch sizes: a service of its own over the shared device and models.
Status run_policy(const std::string& policy, const Arguments& arguments, const Repository& repository,
                  apps::Computing& shared, ModelStore& store, const std::vector<std::string>& names, Run& run) {
  runtime::ServiceOptions options;
  TESSERA_ASSIGN_OR_RETURN(const Arm arm, parse_arm(policy));
  options.policy = arm.policy;
  options.models.repositories = {repository.folder()};
  options.models.defaults.device_kind = shared.kind;
  store.forget_homes();
  TESSERA_ASSIGN_OR_RETURN(
      const auto service,
      runtime::Service::create(options, std::make_unique<BorrowedDevice>(*shared.device, arm.committed),
                               std::make_unique<BorrowedEngine>(store)));
  TESSERA_RETURN_IF_ERROR(service->start());
  if (!store.wait_until_homed(names.size(), kHomingPatience)) {
    std::fprintf(stderr, "%s: some models did not get all slices\n", policy.c_str());
  }
  for (const std::int64_t rows : arguments.batches) {
    std::fprintf(stderr, "%s, batch %lld\n", policy.c_str(), static_cast<long long>(rows));
    if (arguments.wait) {
      TESSERA_RETURN_IF_ERROR(wait_to_begin());
    }
    TESSERA_ASSIGN_OR_RETURN(auto measured, measure(*service, names, rows, arguments));
    const auto cell = std::find_if(run.cells.begin(), run.cells.end(),
                                   [&](const Cell& each) { return each.policy == policy && each.rows == rows; });
    cell->rounds.push_back(std::move(measured));
  }
  return service->drain(kDrain) ? ok_status() : unavailable("requests were still running after the last batch size");
}

Status run(const Arguments& arguments, const std::string& command) {
  const Repository repository(fs::temp_directory_path() / ("tessera-gpu-sharing-" + std::to_string(::getpid())));
  TESSERA_ASSIGN_OR_RETURN(const auto choice, apps::parse_device(arguments.device));
  TESSERA_ASSIGN_OR_RETURN(const auto topology, device::HostTopology::of());
  TESSERA_ASSIGN_OR_RETURN(apps::Computing shared, apps::open_device(choice, topology, kMaxBody));
  Run run;
  run.command = command;
  run.device = shared.description;
  run.engine = shared.engine->name() + " " + shared.engine->version();
  TESSERA_ASSIGN_OR_RETURN(run.tenants, fill(repository, arguments));
  run.seconds = arguments.seconds;
  run.outstanding = arguments.outstanding;
  run.lanes = arguments.lanes;
  for (const std::int64_t rows : arguments.batches) {
    for (const std::string& policy : arguments.policies) {
      run.cells.push_back({policy, rows, {}});
    }
  }
  {
    ModelStore store(*shared.engine, shared.device->shape().ladder.size());
    for (int round = 0; round < arguments.rounds; ++round) {
      std::fprintf(stderr, "round %d of %d\n", round + 1, arguments.rounds);
      for (const std::string& policy : arguments.policies) {
        TESSERA_RETURN_IF_ERROR(run_policy(policy, arguments, repository, shared, store, run.tenants, run));
        if (!arguments.json.empty()) {  // what there is, should the rest not come
          std::ofstream(arguments.json) << json(run);
        }
      }
    }
  }
  shared.engine.reset();
  print(run);
  return ok_status();
}

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Several models in closed loop on one device, under one policy after the other", "bench_gpu_sharing");
  app.add_option("--models", arguments.models, "model repository")->required()->check(CLI::ExistingDirectory);
  app.add_option("--device", arguments.device, "as that of tessera serve (auto)");
  app.add_option("--mix", arguments.mix, "the tenants' models")->delimiter(',');
  app.add_option("--batches", arguments.batches, "rows of a request")->delimiter(',')->check(CLI::Range(1, 1024));
  app.add_option("--policy", arguments.policies, "may be given again and again; NAME/0: nothing committed ahead")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--seconds", arguments.seconds, "measured, for each policy, size and round")
      ->check(CLI::Range(0.05, 600.0));
  app.add_option("--warm-seconds", arguments.warm_seconds, "not measured, before that")->check(CLI::Range(0.0, 600.0));
  app.add_option("--rounds", arguments.rounds)->check(CLI::Range(1, 100));
  app.add_option("--outstanding", arguments.outstanding, "requests of a tenant")->check(CLI::Range(1, 64));
  app.add_option("--lanes", arguments.lanes, "of a model")->check(CLI::Range(1, 64));
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
}  // namespace tessera::bench

int main(int argc, char** argv) { return tessera::bench::main(argc, argv); }
