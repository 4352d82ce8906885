#include "apps/load.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "apps/load_arms.h"
#include "apps/load_here.h"
#include "apps/load_search.h"
#include "apps/load_slices.h"
#include "apps/load_target.h"
#include "apps/load_tenants.h"
#include "apps/load_trials.h"
#include "apps/process_limits.h"
#include "apps/progress.h"
#include "apps/stop_signals.h"
#include "apps/workload_files.h"
#include "loadgen/generator.h"
#include "loadgen/html_report.h"
#include "loadgen/load_report.h"
#include "model/temp_folder.h"

namespace tessera::apps {
namespace {

constexpr int kNice = -10;
constexpr int kExitInterrupted = 130;  // as a shell shows it of SIGINT; of SIGTERM, too

std::string target_name(const LoadOptions& options) {
  return !options.url.empty()    ? options.url
         : !options.arms.empty() ? "in process"
                                 : "in process, policy " + options.service.policy;
}

loadgen::LoadInfo info_of(const LoadOptions& options, const LoadPlan& plan) {
  return {options.command, plan.workload.name, plan.workload.source, target_name(options), options.seed};
}

loadgen::LoadOptions run_options(const LoadOptions& options) {
  loadgen::LoadOptions out;
  out.seed = options.seed;
  out.warm_up = seconds(options.warm_seconds);
  out.length = seconds(options.seconds);
  out.most_in_flight = options.in_flight;
  return out;
}

int say(const char* what, const std::string& why, int status) {
  std::fprintf(stderr, "tessera load: %s%s\n", what, why.c_str());
  return status;
}

// For --html: which batch ran where, where that was recorded.
Result<loadgen::SliceRuns> recorded(const LoadOptions& options, HereTarget* here) {
  if (here == nullptr || options.html.empty() || options.service.record.empty()) {
    return loadgen::SliceRuns();
  }
  here->end_recording();
  return read_slice_runs(options.service.record);
}

// Why it is invalid; empty: it is not.
Result<std::string> run_once(const LoadOptions& options, LoadPlan& plan, loadgen::Target& target, HereTarget* here,
                             StopSignals& signals) {
  TESSERA_ASSIGN_OR_RETURN(const auto tenants, plan.tenants(options.rate));
  loadgen::LoadOptions how = run_options(options);
  Progress progress;
  how.progress = [&](double done) { progress.at(done, "done"); };
  how.stopped = [&] { return signals.stopped(); };
  const loadgen::LoadOutcome outcome = loadgen::Generator(target).run(tenants, how);
  progress.clear();
  std::fputs(loadgen::table(tenants, outcome).c_str(), stdout);
  std::fflush(stdout);
  const auto info = info_of(options, plan);
  TESSERA_RETURN_IF_ERROR(write_text(options.json, loadgen::json(info, tenants, outcome), "--json"));
  TESSERA_ASSIGN_OR_RETURN(const loadgen::SliceRuns slices, recorded(options, here));
  TESSERA_RETURN_IF_ERROR(write_text(options.html, loadgen::html(info, tenants, outcome, slices), "--html"));
  return outcome.invalid;
}

// Likewise.
Result<std::string> search(const LoadOptions& options, const LoadPlan& plan, loadgen::Target& target) {
  TESSERA_ASSIGN_OR_RETURN(const FoundCapacity found, search_capacity(options, plan, target));
  const loadgen::Capacity& capacity = found.capacity;
  std::printf("capacity %.1f a second, 95 %% sure between %.1f and %.1f, at 99 %% attainment of every tenant\n",
              capacity.rate, capacity.low, capacity.high);
  std::fflush(stdout);
  const auto info = info_of(options, plan);
  TESSERA_ASSIGN_OR_RETURN(const auto tenants, plan.tenants(capacity.rate > 0 ? capacity.rate : 1.0));
  TESSERA_RETURN_IF_ERROR(write_text(options.json, loadgen::json(info, capacity, found.invalid), "--json"));
  TESSERA_RETURN_IF_ERROR(write_text(options.html, loadgen::html(info, tenants, capacity, found.invalid), "--html"));
  return found.invalid;
}

// Likewise.
Result<std::string> prove(const LoadOptions& options, const LoadPlan& plan, HereTarget& target) {
  TESSERA_ASSIGN_OR_RETURN(const ProvedArms proved, prove_arms(options, plan, target));
  std::fputs(loadgen::table(proved.proofs).c_str(), stdout);
  std::fflush(stdout);
  TESSERA_ASSIGN_OR_RETURN(const auto shares, plan.tenants(1.0));
  const auto info = info_of(options, plan);
  TESSERA_RETURN_IF_ERROR(
      write_text(options.json, loadgen::json(info, shares, proved.proofs, proved.invalid), "--json"));
  TESSERA_ASSIGN_OR_RETURN(const loadgen::SliceRuns slices, recorded(options, &target));
  TESSERA_RETURN_IF_ERROR(write_text(
      options.html, loadgen::html(info, shares, proved.proofs, proved.invalid, slices, proved.settled), "--html"));
  return proved.invalid;
}

// Likewise: each trial says it of itself.
Result<std::string> trials(const LoadOptions& options, const LoadPlan& plan, loadgen::Target& target,
                           HereTarget* here) {
  TESSERA_RETURN_IF_ERROR(run_trials(options, plan, target, here, std::cin, std::cout));
  return std::string();
}

// Who sends, and what.
struct Ready {
  std::unique_ptr<loadgen::Target> target;
  HereTarget* here = nullptr;  // it, where it is in this process
  std::optional<LoadPlan> plan;
};

Status make_ready(const LoadOptions& options, loadgen::Workload workload, Ready& out) {
  if (options.url.empty()) {
    TESSERA_ASSIGN_OR_RETURN(auto made, HereTarget::create(options, workload));
    out.here = made.get();
    out.target = std::move(made);
  } else {
    TESSERA_ASSIGN_OR_RETURN(out.target, open_target(options, workload));
  }
  LoadPlan& plan = out.plan.emplace(LoadPlan{std::move(workload), options, *out.target});
  TESSERA_RETURN_IF_ERROR(plan.prepare());
  // The rates do not matter here.
  TESSERA_ASSIGN_OR_RETURN(const auto tenants, plan.tenants(1.0));
  return out.target->set_terms(tenants);
}

Result<std::string> run(const LoadOptions& options) {
  TESSERA_ASSIGN_OR_RETURN(loadgen::Workload workload, workload_of(options));
  prepare_process();
  // Before other threads. The part of a run that was done says something, that of a search does not.
  std::optional<StopSignals> signals;
  if (!options.search && !options.trials && options.arms.empty()) signals.emplace();
  Ready ready;
  Status made;
  const auto make = [&] { made = make_ready(options, std::move(workload), ready); };
  signals ? signals->during(make, [] { std::_Exit(kExitInterrupted); }) : make();
  if (!made.ok()) return made.error();
  // This thread's, where the system permits it: it needs little of a processor, but that at once.
  setpriority(PRIO_PROCESS, 0, kNice);
  auto invalid = signals          ? run_once(options, *ready.plan, *ready.target, ready.here, *signals)
                 : options.trials ? trials(options, *ready.plan, *ready.target, ready.here)
                 : options.search ? search(options, *ready.plan, *ready.target)
                                  : prove(options, *ready.plan, *ready.here);
  if (ready.here != nullptr && !options.learned.empty()) {
    TESSERA_ASSIGN_OR_RETURN(const std::string learned, ready.here->learned());
    TESSERA_RETURN_IF_ERROR(write_text(options.learned, learned, "--learned"));
  }
  return invalid;
}

// A report shows which batch ran where: a server in this process records as much of it as that takes.
Result<std::string> run_sampled(const LoadOptions& options) {
  if (options.html.empty() || options.search || !options.url.empty() || !options.service.record.empty()) {
    return run(options);
  }
  TESSERA_ASSIGN_OR_RETURN(const auto folder, model::TempFolder::create());
  LoadOptions sampled = options;
  sampled.service.record = folder->path() / "journal";
  sampled.service.record_sample = kSampledJournal;
  return run(sampled);
}

}  // namespace

int load(const LoadOptions& options) {
  // Waits end when they are to, and not 50 us later, which the kernel adds to save power.
  prctl(PR_SET_TIMERSLACK, 1UL);
  const auto invalid = run_sampled(options);
  if (!invalid.ok()) {
    return say("", invalid.error().message(), EXIT_FAILURE);
  }
  return invalid->empty() ? EXIT_SUCCESS : say("invalid: ", *invalid, kInvalidRun);
}

}  // namespace tessera::apps
