#include "measure/reallocation.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "measure/changing_policy.h"
#include "measure/launch_log.h"
#include "measure/numbers.h"
#include "measure/shared_parts.h"
#include "measure/tenant.h"
#include "runtime/service.h"

namespace tessera::measure {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kBetweenReadings{250};  // of the clock, which drifts
constexpr std::size_t kLaunchesFirst = 100;                 // before anything counts
constexpr std::chrono::seconds kFirstPatience{60};
const std::vector<std::uint16_t> kSizes{4, 2, 8, 1, 4, 8, 2};  // as the arm "changing" has them, one after the other

// A repository with a folder for each tenant, gone at the end. Owned by one thread.
class Folders {
 public:
  Folders() : folder_(fs::temp_directory_path() / ("tessera-reallocation-" + std::to_string(::getpid()))) {}
  ~Folders() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  Folders(const Folders&) = delete;
  Folders& operator=(const Folders&) = delete;

  const fs::path& folder() const { return folder_; }

  // The tenants' names, in the order of the mix. No request is joined to another: a batch is what a request brings.
  Result<std::vector<std::string>> fill(const ReallocationOptions& options) const {
    std::map<std::string, int> seen;
    std::vector<std::string> names;
    for (const std::string& model : options.mix) {
      if (!fs::is_directory(options.models / model / "1")) {
        return not_found("there is no version 1 of a model '" + model + "' in " + options.models.string());
      }
      const int count = ++seen[model];
      names.push_back(count == 1 ? model : model + "_" + std::to_string(count));
      link(options.models / model / "1", folder_ / names.back() / "1");
      std::ofstream(folder_ / names.back() / "config.pbtxt")
          << "max_batch_size: " << *std::max_element(options.batches.begin(), options.batches.end())
          << "\ninstance_group [ { count: " << options.lanes << " } ]\n";
    }
    return names;
  }

 private:
  static void link(const fs::path& from, const fs::path& to) {
    fs::create_directories(to);
    for (const auto& file : fs::directory_iterator(from)) {
      std::error_code failed;
      fs::create_hard_link(file.path(), to / file.path().filename(), failed);
      if (failed) {
        fs::copy_file(file.path(), to / file.path().filename());
      }
    }
  }

  const fs::path folder_;
};

// A measurement's fixed parts. Owned by the main thread.
struct ReallocationStage {
  const ReallocationSubject& subject;
  const ReallocationOptions& options;
  const Folders& folders;
  ModelStore& store;
  LaunchLog& log;
};

Status wait_for_launches(const LaunchLog& log, std::size_t count) {
  const TimePoint until = now() + kFirstPatience;
  while (log.count() < count) {
    if (now() > until) {
      return unavailable("fewer than " + std::to_string(count) + " batches ran in a minute");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return ok_status();
}

Status watch_until(LaunchLog& log, TimePoint until) {
  while (now() < until) {
    std::this_thread::sleep_for(std::min<Duration>(kBetweenReadings, until - now()));
    TESSERA_RETURN_IF_ERROR(log.read_clock());
  }
  return ok_status();
}

Result<ReallocationRound> measure_round(runtime::Service& service, const std::vector<std::string>& names,
                                        std::int64_t rows, const ReallocationStage& stage) {
  const ReallocationOptions& options = stage.options;
  LaunchLog& log = stage.log;
  std::vector<std::unique_ptr<Tenant>> tenants;
  for (const std::string& name : names) {
    TESSERA_ASSIGN_OR_RETURN(const auto instance, service.find(name, std::nullopt));
    TESSERA_ASSIGN_OR_RETURN(
        auto tenant, Tenant::make(service, *instance, rows, options.lanes + options.waiting, Tenant::Memory::kOnce));
    tenants.push_back(std::move(tenant));
  }
  log.forget();
  TESSERA_RETURN_IF_ERROR(log.read_clock());
  for (const auto& tenant : tenants) {
    tenant->start();
  }
  Status watched = wait_for_launches(log, kLaunchesFirst);
  const TimePoint from = now() + seconds_of(options.warm_seconds);
  const TimePoint until = from + seconds_of(options.seconds);
  if (watched.ok()) {
    watched = watch_until(log, until);
  }
  for (const auto& tenant : tenants) {
    tenant->stop();
  }
  for (const auto& tenant : tenants) {
    tenant->wait();
  }
  if (!watched.ok()) {
    return watched.error();
  }
  TESSERA_RETURN_IF_ERROR(log.read_clock());
  std::size_t answers = 0;
  for (const auto& tenant : tenants) {
    answers += tenant->answers(TimePoint::min(), kNever).size();
  }
  const device::ClockMap clock = log.clock();
  std::vector<device::ObservedLaunch> launches = log.launches();
  std::sort(launches.begin(), launches.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  ReallocationRound round;
  round.gaps = gaps_between(
      launches, stage.subject.device.shape().atoms(), [&](std::uint64_t at) { return clock.host_ns(at); }, from, until);
  round.launches = launches.size();
  round.lost = lost_of(launches);
  round.unanswered = launches.size() > answers ? launches.size() - answers : 0;
  round.clock_round_trip_us = log.has_card() ? static_cast<double>(clock.round_trip().count()) / 1000 : 0;
  round.clock_drift_us_per_s = clock.drift_us_per_s();
  return round;
}

Result<std::function<std::unique_ptr<sched::Policy>()>> policy_of(const std::string& arm) {
  using Make = std::function<std::unique_ptr<sched::Policy>()>;
  if (arm == "tessera") {
    return Make{};
  }
  if (arm == "changing") {
    return Make{[] { return make_changing_policy(kSizes); }};
  }
  if (arm == "atoms") {
    return Make{[] { return make_changing_policy({1}); }};
  }
  return invalid_argument("there is no arm '" + arm + "'; there are changing, tessera and atoms");
}

// One arm, all batch sizes: a service of its own over the shared device and models.
Status measure_arm(const std::string& arm, const ReallocationStage& stage, Reallocation& result,
                   const std::function<void(const Reallocation&)>& after_cell) {
  runtime::ServiceOptions serving;
  TESSERA_ASSIGN_OR_RETURN(serving.own_policy, policy_of(arm));
  serving.models.repositories = {stage.folders.folder()};
  serving.models.defaults.device_kind = stage.subject.kind;
  stage.store.forget_homes();
  TESSERA_ASSIGN_OR_RETURN(const auto service, runtime::Service::create(serving, stage.log.borrow(),
                                                                        std::make_unique<BorrowedEngine>(stage.store)));
  TESSERA_RETURN_IF_ERROR(service->start());
  if (!stage.store.wait_until_homed(result.tenants.size(), kHomingPatience)) {
    std::fprintf(stderr, "%s: some models did not get all slices\n", arm.c_str());
  }
  for (const std::int64_t rows : stage.options.batches) {
    std::fprintf(stderr, "%s, batches of %lld\n", arm.c_str(), static_cast<long long>(rows));
    const auto cell = std::find_if(result.cells.begin(), result.cells.end(),
                                   [&](const ReallocationCell& each) { return each.arm == arm && each.rows == rows; });
    TESSERA_ASSIGN_OR_RETURN(auto round, measure_round(*service, result.tenants, rows, stage));
    cell->rounds.push_back(round);
    if (after_cell) {
      after_cell(result);
    }
  }
  return service->drain(kDrain) ? ok_status() : unavailable("requests were still running after the last batch size");
}

}  // namespace

Result<Reallocation> reallocate(const ReallocationSubject& subject, const ReallocationOptions& options,
                                const std::string& command,
                                const std::function<void(const Reallocation&)>& after_cell) {
  const Folders folders;
  Reallocation result;
  result.command = command;
  result.device = subject.description;
  result.engine = subject.engine.name() + " " + subject.engine.version();
  TESSERA_ASSIGN_OR_RETURN(result.tenants, folders.fill(options));
  result.atoms = subject.device.shape().atoms();
  result.seconds = options.seconds;
  result.lanes = options.lanes;
  for (const std::int64_t rows : options.batches) {
    for (const std::string& arm : options.arms) {
      TESSERA_RETURN_IF_ERROR([&]() -> Status {
        const auto known = policy_of(arm);
        return known.ok() ? ok_status() : Status(known.error());
      }());
      result.cells.push_back({arm, rows, {}});
    }
  }
  const std::vector<std::int32_t> buckets(options.batches.begin(), options.batches.end());
  ModelStore store(subject.engine, subject.device.shape().ladder.size(), buckets);
  TESSERA_ASSIGN_OR_RETURN(const auto log, LaunchLog::make(subject.device));
  result.by_card = log->has_card();
  const ReallocationStage stage{subject, options, folders, store, *log};
  for (int round = 0; round < options.rounds; ++round) {
    std::fprintf(stderr, "round %d of %d\n", round + 1, options.rounds);
    for (const std::string& arm : options.arms) {
      TESSERA_RETURN_IF_ERROR(measure_arm(arm, stage, result, after_cell));
    }
  }
  return result;
}

}  // namespace tessera::measure
