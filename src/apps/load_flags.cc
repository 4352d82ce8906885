#include <CLI/CLI.hpp>
#include <string>
#include <utility>

#include "apps/load.h"
#include "apps/number_option.h"
#include "apps/serve_flags.h"
#include "sched/policy.h"

namespace tessera::apps {
namespace {

void add_demand(CLI::App& command, LoadOptions& options) {
  command.add_option("--workload", options.workload, "who asks for what: a file as in bench/workloads")
      ->type_name("FILE");
  command.add_flag("--own-models", options.own_models, "each tenant asks for the model of its own name");
  command.add_option("--model", options.models, "instead of a workload: these models, repeatedly,\nwith equal rates")
      ->type_name("NAME")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--outstanding", options.outstanding, "with --model: closed loop, so many at once")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000).description(""));
  command.add_option("--rows", options.rows, "with --model: of a request (1)")
      ->type_name("N")
      ->check(CLI::Range(1, 1024).description(""));
  number_option(command, "--rate", "R", 1e-6, 1e8, options.rate, "total requests a second (the workload's)");
  number_option(command, "--slo-ms", "MS", 1e-3, 3.6e6, options.slo_ms, "in place of the workload's objectives");
  number_option(command, "--slo-factor", "X", 0.1, 1e6, options.slo_factor,
                "in place of the workload's factors of the\nlatency alone, which is measured first");
}

// What CLI11 cannot say in one check.
void refuse_mixtures(const LoadOptions& options) {
  if (options.url.empty() == options.service.repositories.empty()) {
    throw CLI::ValidationError("--url", "give a server's URL or --model-repository PATH, and not both");
  }
  if (!options.url.empty() && !options.learned.empty()) {
    throw CLI::ValidationError("--learned", "needs a server in this process (--model-repository)");
  }
  if (options.workload.empty() == options.models.empty()) {
    throw CLI::ValidationError("--workload", "give a workload or --model NAME, and not both");
  }
  if (options.models.empty() && (options.outstanding || options.rows != 1)) {
    throw CLI::ValidationError("--outstanding, --rows", "need --model; a workload says its own");
  }
  if (!options.models.empty() &&
      options.outstanding.has_value() == (options.rate || options.search || options.trials || !options.arms.empty())) {
    throw CLI::ValidationError("--model", "needs --rate (open loop) or --outstanding (closed loop)");
  }
  if (!options.arms.empty() && (!options.url.empty() || options.search || options.rate || options.outstanding)) {
    throw CLI::ValidationError("--arm", "is of a server in this process, and takes the place of --rate and --search");
  }
  if (options.trials && (options.search || !options.arms.empty() || options.rate || options.outstanding)) {
    throw CLI::ValidationError("--trials", "takes the place of --rate, --search and --arm");
  }
  if (options.trials && (!options.json.empty() || !options.html.empty())) {
    throw CLI::ValidationError("--trials", "writes its results to stdout, and no file");
  }
  if (options.slo_ms && options.slo_factor) {
    throw CLI::ValidationError("--slo-factor", "and --slo-ms are both given; one is enough");
  }
}

}  // namespace

void add_load_flags(CLI::App& command, LoadOptions& options) {
  command.option_defaults()->group("Target");
  command.add_option("--url", options.url, "http://HOST:PORT or grpc://HOST:PORT of a\nKServe v2 server")
      ->type_name("URL");
  const auto take_shapes = [&options](const std::vector<std::string>& given) {
    for (const std::string& text : given) {
      auto shape = client::parse_shape_choice(text);
      if (!shape.ok()) throw CLI::ValidationError("--shape", shape.error().message());
      options.shapes.push_back(std::move(*shape));
    }
  };
  command
      .add_option_function<std::vector<std::string>>("--shape", take_shapes,
                                                     "of an input with free dimensions, repeatedly:\n"
                                                     "[MODEL/]NAME:DIMS, such as IN:3,224,224 (1)")
      ->type_name("SHAPE")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--in-flight", options.in_flight, "of a tenant; more are not sent, and count as\nfailed (1024)")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, std::size_t{65536}).description(""));
  command.option_defaults()->group("Target in this process, instead of --url (as of tessera serve)");
  add_service_flags(command, options.service);
  command.option_defaults()->group("Demand");
  add_demand(command, options);
  command.option_defaults()->group("Run");
  number_option(command, "--seconds", "S", 0.1, 1e6, options.seconds, "that count (10)");
  number_option(command, "--warm-seconds", "S", 0, 1e6, options.warm_seconds, "before them (1)");
  command.add_option("--seed", options.seed, "of arrivals and inputs (1)")->type_name("N");
  command.option_defaults()->group("Search");
  command.add_flag("--search", options.search,
                   "the highest total rate at which every tenant\nattains 99 %; --rate is where to begin");
  command.add_flag(
      "--trials", options.trials,
      "instead: the runs that stdin asks for, a line each:\nRATE SECONDS SEED [POLICY] or alone ROWS; stdout "
      "says\nready, then a line of JSON after each");
  const auto take_arms = [&options](const std::vector<std::string>& given) {
    for (const std::string& text : given) {
      auto arm = loadgen::parse_arm(text);
      if (!arm.ok()) throw CLI::ValidationError("--arm", arm.error().message());
      const auto policy = sched::make_policy(arm->name);
      if (!policy.ok()) throw CLI::ValidationError("--arm", policy.error().message());
      options.arms.push_back(std::move(*arm));
    }
  };
  command
      .add_option_function<std::vector<std::string>>(
          "--arm", take_arms,
          "instead, in this process: a policy and the total\nrate that it is said to carry, repeatedly; each is\n"
          "to pass at 0.97 of it and to fail at 1.03, in turns")
      ->type_name("POLICY=RATE")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  number_option(command, "--settle-seconds", "S", 0, 3600, options.settle_seconds,
                "of each arm before, for what a policy sets up as\nit goes (3)");
  command.add_option("--seeds", options.seeds, "runs at each rate, pooled (5)")
      ->type_name("N")
      ->check(CLI::Range(2, 100).description(""));
  command.add_option("--least-requests", options.least_requests, "of the slowest tenant, over all seeds (5000)")
      ->type_name("N")
      ->check(CLI::Range(100, 100'000'000).description(""));
  number_option(command, "--precision", "P", 0.001, 1, options.precision, "of the rate (0.02)");
  command.option_defaults()->group("Results");
  command.add_option("--json", options.json, "file for the results")->type_name("FILE");
  command.add_option("--html", options.html, "file for a report to look at")->type_name("FILE");
  command.add_option("--learned", options.learned, "in this process: file of profiles, as they are known\nby the end")
      ->type_name("FILE");
  command.callback([&options] { refuse_mixtures(options); });
}

}  // namespace tessera::apps
