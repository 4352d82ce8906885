// tessera: one program, a command for each thing it does.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "apps/fatal_signals.h"
#include "apps/fit.h"
#include "apps/load.h"
#include "apps/profile.h"
#include "apps/selftest.h"
#include "apps/serve.h"
#include "apps/serve_flags.h"
#include "apps/simulate.h"
#include "server/metadata.h"

namespace {

constexpr int kBadUsage = 2;

// `error` as one line, and where to read more.
int explain(const CLI::App& app, const CLI::ParseError& error) {
  const auto commands = app.get_subcommands();
  const std::string name = commands.empty() ? "tessera" : "tessera " + commands.front()->get_name();
  std::string message = error.what();
  if (const auto unknown = app.remaining(); commands.empty() && !unknown.empty()) {
    message = "there is no command '" + unknown.front() + "'";
  }
  for (char& c : message) {
    if (c == '\n') c = ' ';
  }
  std::fprintf(stderr, "%s: %s (see %s --help)\n", name.c_str(), message.c_str(), name.c_str());
  return kBadUsage;
}

int run(int argc, char** argv) {
  CLI::App app("Inference server for edge clouds: several models share the processors, each within its objective.",
               "tessera");
  app.set_version_flag("--version", "tessera " + tessera::server::server_metadata().version);
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);

  tessera::apps::ServeOptions options;
  CLI::App& serve = *app.add_subcommand("serve", "Serves the models of a repository over HTTP, gRPC and metrics");
  tessera::apps::add_serve_flags(serve, options);

  tessera::apps::SelftestOptions selftest_options;
  CLI::App& selftest = *app.add_subcommand("selftest", "Tries whether a device and its slices work here");
  tessera::apps::add_selftest_flags(selftest, selftest_options);

  tessera::apps::SimulateOptions simulate_options;
  CLI::App& simulate = *app.add_subcommand("simulate", "Plays a workload on devices that are not there");
  tessera::apps::add_simulate_flags(simulate, simulate_options);

  tessera::apps::LoadOptions load_options;
  CLI::App& load = *app.add_subcommand("load", "Sends a workload to a server and tells what became of it");
  tessera::apps::add_load_flags(load, load_options);

  tessera::apps::ProfileOptions profile_options;
  CLI::App& profile = *app.add_subcommand("profile", "Measures how long a model's batches take in each slice");
  tessera::apps::add_profile_flags(profile, profile_options);

  tessera::apps::FitOptions fit_options;
  CLI::App& fit = *app.add_subcommand("fit", "Tells before a load whether a model fits beside others");
  tessera::apps::add_fit_flags(fit, fit_options);

  std::string command = "tessera";
  for (int i = 1; i < argc; ++i) {
    command.append(" ").append(argv[i]);
  }
  simulate_options.command = command;
  load_options.command = command;
  profile_options.command = command;

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    return explain(app, error);
  }
  if (simulate.parsed()) {
    return tessera::apps::simulate(simulate_options);
  }
  if (load.parsed()) {
    return tessera::apps::load(load_options);
  }
  if (profile.parsed()) {
    return tessera::apps::profile(profile_options);
  }
  if (fit.parsed()) {
    return tessera::apps::fit(fit_options);
  }
  return selftest.parsed() ? tessera::apps::selftest(selftest_options) : tessera::apps::serve(options);
}

}  // namespace

int main(int argc, char** argv) {
  tessera::apps::report_fatal_signals();
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tessera: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
