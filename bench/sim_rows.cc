// What else is promised of a policy, in the simulator: how soon a tenant is served again after a step of its rate, what
// a reserved share is worth beside a neighbour that grows, and how fairly weights divide a device that is asked for
// more than it has.
//
//   bench_sim_rows [--profiles FILE] [--device NAME] [--policy NAME]... [--json FILE]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "bench/mixes.h"
#include "loadgen/measure.h"
#include "loadgen/random.h"
#include "loadgen/text.h"
#include "sim/scenario.h"

namespace tessera {
namespace {

using namespace std::chrono_literals;

constexpr Duration kStepAt = 5s;
constexpr Duration kAfterStep = 8s;
constexpr int kSteps = 20;
constexpr double kStep = 5;
constexpr double kOfCapacity = 0.85;
constexpr Duration kWindow = 500ms;
constexpr Duration kStays = 2s;
constexpr double kServed = 0.99;

struct Arguments {
  MixFiles files;
  std::vector<std::string> policies = {"tessera", "gslice"};
  std::string json;
};

double seconds(Duration span) { return std::chrono::duration<double>(span).count(); }

Duration span_of(double seconds) { return Duration(static_cast<Duration::rep>(seconds * 1e9)); }

// ---- A step of one tenant's rate ----

// Poisson at a fifth of `rate` until kStepAt, then at `rate`.
loadgen::Trace step_trace(double rate, std::uint64_t seed) {
  loadgen::Random random(seed);
  auto arrivals = std::make_shared<std::vector<loadgen::ScheduledArrival>>();
  const Duration end = kStepAt + kAfterStep;
  for (Duration at{0};;) {
    at += span_of(random.exponential() / (at < kStepAt ? rate / kStep : rate));
    if (at >= end) {
      break;
    }
    arrivals->push_back({at, 1});
  }
  return {std::move(arrivals), end};
}

// From the step until the share in time of the requests that arrived in the last half second is at least 99 %, and
// stays so for two seconds. The end of the run: it never is.
Duration recovery(std::vector<std::pair<Duration, bool>> requests) {
  std::sort(requests.begin(), requests.end());
  std::size_t first = 0;
  std::size_t met = 0;
  Duration good_since = kStepAt;
  for (std::size_t last = 0; last < requests.size(); ++last) {
    met += requests[last].second ? 1 : 0;
    while (requests[first].first + kWindow < requests[last].first) {
      met -= requests[first++].second ? 1 : 0;
    }
    const Duration at = requests[last].first;
    if (at < kStepAt) {
      continue;
    }
    if (static_cast<double>(met) < kServed * static_cast<double>(last - first + 1)) {
      good_since = at;
    } else if (at - good_since >= kStays) {
      return good_since - kStepAt;
    }
  }
  return kAfterStep;
}

struct Step {
  double capacity = 0;
  std::vector<double> ms;  // sorted
  double median() const { return ms[ms.size() / 2]; }
};

Result<Step> steps(const sim::Scenario& scenario, const std::string& policy) {
  Step out;
  sim::ClusterOptions options;
  options.policy = policy;
  loadgen::SearchOptions how;
  TESSERA_ASSIGN_OR_RETURN(const auto capacity, scenario.capacity(options, how, 10, {}));
  out.capacity = capacity.rate;
  for (int seed = 1; seed <= kSteps && capacity.rate > 0; ++seed) {
    TESSERA_ASSIGN_OR_RETURN(auto tenants, scenario.tenants(kOfCapacity * capacity.rate, 10));
    loadgen::Trace trace = step_trace(tenants[0].rate, static_cast<std::uint64_t>(seed));
    tenants[0].rate = trace.per_second();  // as recorded
    const Duration slo = *tenants[0].slo;
    tenants[0].spec.process = std::move(trace);
    std::vector<std::pair<Duration, bool>> requests;
    options.seed = static_cast<std::uint64_t>(seed);
    options.warm_up = 0s;
    options.length = kStepAt + kAfterStep;
    options.answered = [&](const sim::Answer& answer) {
      if (answer.tenant == 0) {
        requests.emplace_back(answer.arrival.time_since_epoch(), answer.ended && *answer.ended - answer.arrival <= slo);
      }
    };
    TESSERA_ASSIGN_OR_RETURN(const auto cluster, sim::Cluster::make(scenario.device, std::move(tenants), options));
    cluster->run({});
    out.ms.push_back(seconds(recovery(std::move(requests))) * 1e3);
  }
  std::sort(out.ms.begin(), out.ms.end());
  return out;
}

// ---- A reserved share ----

loadgen::Tenant tenant(const sim::Scenario& scenario, const std::string& model, double slo_factor, double rate) {
  loadgen::Tenant out;
  out.spec.name = model;
  out.spec.model = model;
  out.rate = rate;
  if (slo_factor > 0) {
    const auto profile = scenario.device.model(model);
    out.slo = span_of(slo_factor * seconds(scenario.device.whole(**profile, 1)));
  }
  return out;
}

struct Reserved {
  bool lends = false;
  double alone_ms = 0;
  double beside_hog_ms = 0;
  double beside_grown_ms = 0;
  double over_hog() const { return beside_grown_ms / beside_hog_ms; }
  double over_alone() const { return beside_grown_ms / alone_ms; }
};

// A resnet50 with a quarter of the device, no less and no more, which asks for half of that; a vgg19 that asks for a
// tenth of the device, then for all of it. `lends`: others may have the quarter while its owner does without.
Result<Reserved> reserved(const sim::Scenario& scenario, const std::string& policy, bool lends) {
  TESSERA_ASSIGN_OR_RETURN(const auto* resnet, scenario.device.model("resnet50"));
  TESSERA_ASSIGN_OR_RETURN(const auto* vgg, scenario.device.model("vgg19"));
  const double own = 0.125 * 8 / seconds(scenario.device.whole(*resnet, 8));
  const double others = 8 / seconds(scenario.device.whole(*vgg, 8));
  const auto p99 = [&](const std::vector<loadgen::Tenant>& beside) -> Result<double> {
    std::vector<loadgen::Tenant> tenants{tenant(scenario, "resnet50", 20, own)};
    tenants[0].spec.reserved_share = tenants[0].spec.max_share = 0.25;
    tenants[0].spec.reserved_lend = lends;
    tenants.insert(tenants.end(), beside.begin(), beside.end());
    sim::ClusterOptions options;
    options.policy = policy;
    options.length = 60s;
    std::vector<double> ms;  // a tally's percentiles are 3 % wide
    options.answered = [&ms, &options](const sim::Answer& answer) {
      if (answer.tenant == 0 && answer.ended && answer.arrival.time_since_epoch() >= options.warm_up) {
        ms.push_back(seconds(*answer.ended - answer.arrival) * 1e3);
      }
    };
    TESSERA_ASSIGN_OR_RETURN(const auto cluster, sim::Cluster::make(scenario.device, std::move(tenants), options));
    cluster->run({});
    const auto at = ms.begin() + static_cast<std::ptrdiff_t>(0.99 * static_cast<double>(ms.size()));
    std::nth_element(ms.begin(), at, ms.end());
    return *at;
  };
  Reserved out;
  out.lends = lends;
  TESSERA_ASSIGN_OR_RETURN(out.alone_ms, p99({}));
  loadgen::Tenant hog = tenant(scenario, "vgg19", 0, 0);
  hog.spec.outstanding = 64;
  hog.spec.lanes = 4;  // with two it does not keep twelve atoms busy
  TESSERA_ASSIGN_OR_RETURN(out.beside_hog_ms, p99({hog}));
  for (const double part : {0.1, 0.3, 0.6, 1.0}) {
    TESSERA_ASSIGN_OR_RETURN(const double here, p99({tenant(scenario, "vgg19", 20, part * others)}));
    out.beside_grown_ms = std::max(out.beside_grown_ms, here);
  }
  return out;
}

// ---- Weights ----

// Rows a second of the whole device at the batch and slice that take least of it and leave half of the objective.
double most_rows(const sim::Scenario& scenario, const loadgen::Tenant& tenant) {
  const auto profile = scenario.device.model(tenant.spec.model);
  const std::int32_t all = scenario.device.shape.processors_in(scenario.device.shape.whole());
  double most = 0;
  for (const sched::ProfilePoint& point : (*profile)->points) {
    if (2 * point.latency <= *tenant.slo) {
      most = std::max(most, point.bucket * static_cast<double>(all) / point.processors / seconds(point.latency));
    }
  }
  return most;
}

// Three models with weights 1, 2 and 4 that ask for 10, 1.2 and 1.2 times their part of the device. With two lanes a
// model cannot hold four sevenths of it in slices that pay.
Result<double> fairness(const sim::Scenario& scenario, const std::string& policy, int lanes) {
  const std::array<const char*, 3> models{"resnet50", "mobilenet_v2", "vgg19"};
  const std::array<double, 3> weights{1, 2, 4};
  const std::array<double, 3> demands{10, 1.2, 1.2};
  std::vector<loadgen::Tenant> tenants;
  for (std::size_t i = 0; i < models.size(); ++i) {
    tenants.push_back(tenant(scenario, models[i], 20, 1));
    tenants.back().rate = demands[i] * weights[i] / 7 * most_rows(scenario, tenants.back());
    tenants.back().spec.weight = weights[i];
    tenants.back().spec.lanes = lanes;
  }
  std::array<double, 3> used{};
  sim::ClusterOptions options;
  options.policy = policy;
  options.length = 20s;
  options.ran = [&](const sim::BatchRun& run) { used[run.tenant] += run.atom_seconds() / weights[run.tenant]; };
  TESSERA_ASSIGN_OR_RETURN(const auto cluster, sim::Cluster::make(scenario.device, std::move(tenants), options));
  cluster->run({});
  return loadgen::jain_index(used);
}

std::string json_of(const Reserved& share) {
  return std::string(share.lends ? "\"lent\"" : "\"not_lent\"") + ": {\"alone\": " + loadgen::digits(share.alone_ms) +
         ", \"beside_hog\": " + loadgen::digits(share.beside_hog_ms) +
         ", \"beside_grown\": " + loadgen::digits(share.beside_grown_ms) + "}";
}

Status run(const Arguments& arguments, const std::string& command) {
  TESSERA_ASSIGN_OR_RETURN(const sim::Scenario found, mix(arguments.files, 4));
  std::string json;
  std::printf("%-10s %10s %32s %30s %30s %18s\n", "policy", "capacity", "after a step: median (all), ms",
              "reserved, lent: p99 x hog, x alone", "not lent: x hog, x alone", "Jain (two lanes)");
  for (const std::string& policy : arguments.policies) {
    TESSERA_ASSIGN_OR_RETURN(const Step step, steps(found, policy));
    TESSERA_ASSIGN_OR_RETURN(const Reserved lent, reserved(found, policy, true));
    TESSERA_ASSIGN_OR_RETURN(const Reserved kept, reserved(found, policy, false));
    TESSERA_ASSIGN_OR_RETURN(const double fair, fairness(found, policy, 4));
    TESSERA_ASSIGN_OR_RETURN(const double two_lanes, fairness(found, policy, 2));
    const bool any = !step.ms.empty();
    std::printf("%-10s %10.0f %14.0f (%6.0f to %6.0f) %17.3f, %15.3f %14.3f, %14.3f %10.4f (%.4f)\n", policy.c_str(),
                step.capacity, any ? step.median() : 0, any ? step.ms.front() : 0, any ? step.ms.back() : 0,
                lent.over_hog(), lent.over_alone(), kept.over_hog(), kept.over_alone(), fair, two_lanes);
    std::fflush(stdout);
    json += std::string(json.empty() ? "" : ",") + "\n  {\"policy\": " + loadgen::quoted(policy) +
            ", \"capacity\": " + loadgen::digits(step.capacity) +
            ", \"steps_ms\": {\"median\": " + loadgen::digits(any ? step.median() : 0) +
            ", \"least\": " + loadgen::digits(any ? step.ms.front() : 0) +
            ", \"most\": " + loadgen::digits(any ? step.ms.back() : 0) + "}, \"jain\": " + loadgen::digits(fair) +
            ", \"jain_of_two_lanes\": " + loadgen::digits(two_lanes) + ",\n   \"reserved_p99_ms\": {" + json_of(lent) +
            ",\n    " + json_of(kept) + "}}";
  }
  if (!arguments.json.empty()) {
    return write_text(arguments.json, "{\"command\": " + loadgen::quoted(command) +
                                          ", \"device\": " + loadgen::quoted(arguments.files.device) +
                                          ", \"policies\": [" + json + "\n]}\n");
  }
  return ok_status();
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) {
  tessera::Arguments arguments;
  CLI::App app("What else is promised of a policy, in the simulator", "bench_sim_rows");
  app.add_option("--workloads", arguments.files.workloads, "folder with mix4.json");
  app.add_option("--profiles", arguments.files.profiles, "file of profiles");
  app.add_option("--device", arguments.files.device, "of that file");
  app.add_option("--policy", arguments.policies, "tessera, gslice");
  app.add_option("--json", arguments.json, "results");
  CLI11_PARSE(app, argc, argv);
  const std::string command = tessera::command_of("scripts/bench sim_rows", argc, argv);
  const tessera::Status status = tessera::run(arguments, command);
  if (!status.ok()) {
    std::fprintf(stderr, "bench_sim_rows: %s\n", status.error().message().c_str());
  }
  return status.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
}
