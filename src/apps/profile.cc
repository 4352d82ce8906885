#include "apps/profile.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "apps/core_list.h"
#include "apps/profile_report.h"
#include "apps/progress.h"
#include "apps/workload_files.h"
#include "base/log.h"
#include "loadgen/text.h"
#include "measure/grid.h"
#include "sim/profiles.h"

namespace tessera::apps {
namespace {

constexpr Bytes kMaxProfiledBody{std::uint64_t{256} << 20};

sim::DeviceProfile as_profile(const device::Device& device, const std::vector<measure::Grid>& grids) {
  sim::DeviceProfile out;
  out.shape = device.shape();
  double spread = 0;
  std::size_t points = 0;
  for (const measure::Grid& grid : grids) {
    out.models[grid.model] = {grid.profile(), grid.memory, {}};
    for (const measure::GridPoint& point : grid.points) {
      spread += point.spread;
    }
    points += grid.points.size();
  }
  out.traits.noise = std::min(1.0, points > 0 ? spread / static_cast<double>(points) : 0.0);
  return out;
}

std::string profiles_text(const ProfileOptions& options, const Computing& computing,
                          const std::vector<measure::Grid>& grids, const ProfileInfo& info) {
  sim::MeasuredDevice about;
  about.name = options.name.empty() ? computing.device->shape().name : options.name;
  about.hardware = info.device;
  about.source = options.command;
  about.date = today();
  about.note =
      "points: [rows, processors, microseconds], alone on the device, median. noise: mean deviation of the "
      "logarithm of a run's time. Knees: " +
      knees(grids, info);
  return sim::profiles_json(about, as_profile(*computing.device, grids));
}

Status run(const ProfileOptions& options) {
  TESSERA_ASSIGN_OR_RETURN(const auto topology, device::HostTopology::of(options.host_cores));
  TESSERA_ASSIGN_OR_RETURN(Computing computing, open_device(options.device, topology, kMaxProfiledBody));
  ProfileInfo info;
  info.device = computing.description.empty() ? computing.device->shape().name : computing.description;
  info.command = options.command;
  info.rows_per_second = options.rate.value_or(0);
  std::vector<measure::Grid> grids;
  Progress progress;
  for (const std::string& model : options.models) {
    measure::GridOptions how;
    how.repositories = options.repositories;
    how.model = model;
    how.point_time = std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(options.point_ms));
    if (options.slo_ms) {
      how.slo = std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(*options.slo_ms));
    }
    const auto done_before = static_cast<double>(grids.size());
    const auto tell = [&](double done) {
      progress.at((done_before + done) / static_cast<double>(options.models.size()), "measured");
    };
    progress.say("loading " + model);
    auto grid = measure::measure_grid(*computing.device, *computing.engine, computing.kind, how, tell);
    if (!grid.ok()) {
      return grid.error().in("model '" + model + "'");
    }
    progress.clear();
    std::fputs(profile_table(*grid, info).c_str(), stdout);
    grids.push_back(*std::move(grid));
  }
  TESSERA_RETURN_IF_ERROR(write_text(options.csv, options.csv.empty() ? "" : profile_csv(grids, info), "--csv"));
  TESSERA_RETURN_IF_ERROR(
      write_text(options.json, options.json.empty() ? "" : profiles_text(options, computing, grids, info), "--json"));
  return write_text(options.html, options.html.empty() ? "" : profile_html(grids, info), "--html");
}

}  // namespace

void add_profile_flags(CLI::App& command, ProfileOptions& options) {
  command.add_option("MODEL", options.models, "whose latencies: one or several of the repository")
      ->required()
      ->check([](const std::string& name) { return name.empty() ? std::string("a model has a name") : std::string(); });
  command.add_option("--model-repository,--model-store", options.repositories, "folder of models, may be repeated")
      ->type_name("PATH")
      ->required()
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->check(CLI::ExistingDirectory.description(""));
  const auto take_device = [&options](const std::string& text) {
    auto choice = parse_device(text);
    if (!choice.ok()) throw CLI::ValidationError("--device", choice.error().message());
    options.device = std::move(*choice);
  };
  command.add_option_function<std::string>("--device", take_device, "host | auto | cuda:N (auto)")->type_name("KIND");
  const auto take_cores = [&options](const std::string& text) {
    auto list = parse_core_list(text);
    if (!list.ok()) throw CLI::ValidationError("--host-cores", list.error().message());
    options.host_cores = std::move(*list);
  };
  command.add_option_function<std::string>("--host-cores", take_cores, "processors to compute on: 0,2-5 (all)")
      ->type_name("LIST");
  command.add_option("--name", options.name, "of the device in the results (its own)")->type_name("NAME");
  command.add_option("--slo-ms", options.slo_ms, "objective that the knee keeps (the model's)")
      ->type_name("MS")
      ->check(CLI::Range(0.001, 3.6e6).description(""));
  command.add_option("--rate", options.rate, "rows a second, which a batch waits for (not counted)")
      ->type_name("R")
      ->check(CLI::Range(1e-6, 1e9).description(""));
  command.add_option("--point-ms", options.point_ms, "time for each batch and slice size, 5 runs\nat least (300)")
      ->type_name("MS")
      ->check(CLI::Range(1.0, 60'000.0).description(""));
  command.add_option("--csv", options.csv, "file for a line each point")->type_name("FILE");
  command.add_option("--json", options.json, "file of profiles, as tessera simulate and fit\nread them")
      ->type_name("FILE");
  command.add_option("--html", options.html, "file for one page with the figures")->type_name("FILE");
}

int profile(const ProfileOptions& options) {
  set_up_log(LogFormat::kText, LogLevel::kWarning);
  std::set<std::string> once(options.models.begin(), options.models.end());
  const Status status = once.size() < options.models.size()
                            ? Status(invalid_argument("a model is named twice; once is enough"))
                            : run(options);
  if (!status.ok()) {
    std::fprintf(stderr, "tessera profile: %s\n", status.error().message().c_str());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace tessera::apps
