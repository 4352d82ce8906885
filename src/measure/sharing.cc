#include "measure/sharing.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "engine/onnxruntime/cuda/trial_batch.h"
#include "measure/loops.h"
#include "measure/numbers.h"
#include "measure/shared_parts.h"
#include "measure/tenant.h"
#include "runtime/service.h"

namespace tessera::measure {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kHomingPatience{60};
constexpr std::chrono::seconds kDrain{30};

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
  void add(const std::string& name, const fs::path& model, const SharingOptions& options) const {
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
        << "max_batch_size: " << *std::max_element(options.batches.begin(), options.batches.end())
        << "\ninstance_group [ { count: " << options.lanes << " } ]\n";
  }

 private:
  const fs::path folder_;
};

// The tenants' names, in the order of the mix.
Result<std::vector<std::string>> fill(const Repository& repository, const SharingOptions& options) {
  std::map<std::string, int> seen;
  std::vector<std::string> names;
  for (const std::string& model : options.mix) {
    if (!fs::is_directory(options.models / model / "1")) {
      return not_found("there is no version 1 of a model '" + model + "' in " + options.models.string());
    }
    const int count = ++seen[model];
    names.push_back(count == 1 ? model : model + "_" + std::to_string(count));
    repository.add(names.back(), options.models / model, options);
  }
  return names;
}

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

// Of the device where it is most.
double dispatching(const runtime::Service& service) {
  double most = 0;
  for (const auto& device : service.device_statistics()) {
    most = std::max(most, device.dispatching_seconds);
  }
  return most;
}

// One round of `cell`.
Status closed_loop(runtime::Service& service, const std::vector<std::string>& names, const SharingOptions& options,
                   Tenant::Memory memory, Cell& cell) {
  std::vector<std::unique_ptr<Tenant>> tenants;
  const int outstanding = options.outstanding * static_cast<int>(cell.parts.size());
  for (const std::string& name : names) {
    TESSERA_ASSIGN_OR_RETURN(const auto instance, service.find(name, std::nullopt));
    TESSERA_ASSIGN_OR_RETURN(auto tenant, Tenant::make(service, *instance, cell.rows, outstanding, memory));
    tenants.push_back(std::move(tenant));
  }
  for (const auto& tenant : tenants) {
    tenant->start();
  }
  const TimePoint from = now() + seconds_of(options.warm_seconds);
  const TimePoint until = from + seconds_of(options.seconds);
  std::this_thread::sleep_for(from - now());
  const double before = dispatching(service);
  std::this_thread::sleep_for(until - now());
  cell.dispatching.push_back((dispatching(service) - before) / options.seconds);
  for (const auto& tenant : tenants) {
    tenant->stop();
  }
  for (const auto& tenant : tenants) {
    tenant->wait();
  }
  std::vector<Measured>& measured = cell.rounds.emplace_back();
  for (const auto& tenant : tenants) {
    measured.push_back(summary(tenant->answers(from, until), cell.rows, until - from));
  }
  return ok_status();
}

// Nothing between the device and its plans: every tenant's lanes, each with one launch on its way, as the policy would
// have them share the device.
Result<double> bare_loops(const Part& part, const Repository& repository, ModelStore& store,
                          const std::vector<std::string>& names, const SharingOptions& options, const Cell& cell) {
  const std::vector<Slice> slices = side_by_side(part.device.shape(), names.size());
  const bool sliced = cell.policy == "fixed";
  if (sliced && slices.size() < names.size()) {
    return unsupported("the device has fewer slices than there are tenants");
  }
  std::vector<std::unique_ptr<engine::TrialBatch>> batches;
  std::vector<Loop> loops;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto model = store.find(repository.folder() / names[i] / "1" / "model.onnx");
    if (model == nullptr) {
      return not_found(names[i] + " was not loaded");
    }
    for (std::uint16_t lane = 0; lane < options.lanes; ++lane) {
      const Slice slice = sliced ? slices[i] : part.device.shape().whole();
      const auto rows = static_cast<std::int32_t>(cell.rows);
      TESSERA_ASSIGN_OR_RETURN(const device::Plan* plan, model->prepare_home(rows, {lane}, slice));
      TESSERA_ASSIGN_OR_RETURN(
          auto batch, engine::TrialBatch::make(part.device.staging(), model->signature(), rows, rows, true, lane));
      batches.push_back(std::make_unique<engine::TrialBatch>(std::move(batch)));
      loops.push_back({.plan = plan,
                       .batch = &batches.back()->batch(),
                       .instance = {static_cast<std::uint32_t>(i + 1)},
                       .lane = {lane},
                       .slice = slice,
                       .after = cell.policy == "streams" ? device::After::kLane : device::After::kOverlap});
    }
  }
  Loops runner(part.device);
  TESSERA_ASSIGN_OR_RETURN(const auto times, runner.run(loops, seconds_of(options.seconds)));
  double launches = 0;
  for (const LoopTimes& loop : times) {
    launches += loop.per_second;
  }
  return launches * static_cast<double>(cell.rows);
}

// Of those whose launches can be had without a scheduler.
Status add_bare(const Part& part, const Repository& repository, ModelStore& store, const SharingOptions& options,
                Run& run) {
  for (Cell& cell : run.cells) {
    if (cell.policy == "temporal" || cell.policy == "streams" || cell.policy == "fixed") {
      const auto bare = bare_loops(part, repository, store, run.tenants, options, cell);
      if (!bare.ok() && bare.error().code() != ErrorCode::kUnsupported) {  // in slices: of which there are too few
        return bare.error();
      }
      cell.bare_per_s = bare.ok() ? *bare : 0;
    }
  }
  return ok_status();
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

using Places = std::vector<std::size_t>;  // of some of the subject's parts

// Each part alone, and all.
std::vector<Places> arms_of(const Subject& subject) {
  std::vector<Places> arms;
  Places all;
  for (std::size_t place = 0; place < subject.parts.size(); ++place) {
    arms.push_back({place});
    all.push_back(place);
  }
  if (all.size() > 1) {
    arms.push_back(all);
  }
  return arms;
}

// A measurement's fixed parts. Owned by the main thread.
struct Stage {
  const Subject& subject;
  const SharingOptions& options;
  const Repository& repository;
  std::vector<std::unique_ptr<ModelStore>> stores;  // by part
};

// One policy, all batch sizes: a service of its own over the shared devices and models.
Status run_policy(const std::string& policy, const Places& places, const Stage& stage, Run& run) {
  const SharingOptions& options = stage.options;
  runtime::ServiceOptions serving;
  TESSERA_ASSIGN_OR_RETURN(const Arm arm, parse_arm(policy));
  serving.policy = arm.policy;
  serving.models.repositories = {stage.repository.folder()};
  serving.models.defaults.device_kind = stage.subject.kind;
  std::vector<runtime::DeviceUnit> units;
  for (const std::size_t place : places) {
    stage.stores[place]->forget_homes();
    units.push_back({std::make_unique<BorrowedDevice>(stage.subject.parts[place].device, arm.committed),
                     std::make_unique<BorrowedEngine>(*stage.stores[place])});
  }
  TESSERA_ASSIGN_OR_RETURN(const auto service, runtime::Service::create(serving, std::move(units)));
  TESSERA_RETURN_IF_ERROR(service->start());
  for (const std::size_t place : places) {
    if (!stage.stores[place]->wait_until_homed(run.tenants.size(), kHomingPatience)) {
      std::fprintf(stderr, "%s: some models did not get all slices\n", policy.c_str());
    }
  }
  const auto memory = stage.subject.parts.size() > 1 ? Tenant::Memory::kForEach : Tenant::Memory::kOnce;
  for (const std::int64_t rows : options.batches) {
    std::fprintf(stderr, "%s, batch %lld%s\n", policy.c_str(), static_cast<long long>(rows),
                 places.size() > 1 ? ", all devices" : "");
    if (options.before_each) {
      TESSERA_RETURN_IF_ERROR(options.before_each());
    }
    const auto cell = std::find_if(run.cells.begin(), run.cells.end(), [&](const Cell& each) {
      return each.policy == policy && each.rows == rows && each.parts == places;
    });
    TESSERA_RETURN_IF_ERROR(closed_loop(*service, run.tenants, options, memory, *cell));
  }
  return service->drain(kDrain) ? ok_status() : unavailable("requests were still running after the last batch size");
}

}  // namespace

Result<Run> share(const Subject& subject, const SharingOptions& options, const std::string& command) {
  const Repository repository(fs::temp_directory_path() / ("tessera-sharing-" + std::to_string(::getpid())));
  Run run;
  run.command = command;
  run.device = subject.description;
  run.engine = subject.parts.front().engine.name() + " " + subject.parts.front().engine.version();
  TESSERA_ASSIGN_OR_RETURN(run.tenants, fill(repository, options));
  run.seconds = options.seconds;
  run.outstanding = options.outstanding;
  run.lanes = options.lanes;
  const std::vector<Places> arms = arms_of(subject);
  for (const std::int64_t rows : options.batches) {
    for (const std::string& policy : options.policies) {
      for (const Places& places : arms) {
        run.cells.push_back({.policy = policy, .rows = rows, .rounds = {}, .parts = places});
      }
    }
  }
  Stage stage{subject, options, repository, {}};
  for (const Part& part : subject.parts) {
    stage.stores.push_back(std::make_unique<ModelStore>(part.engine, part.device.shape().ladder.size()));
  }
  for (int round = 0; round < options.rounds; ++round) {
    std::fprintf(stderr, "round %d of %d\n", round + 1, options.rounds);
    for (const std::string& policy : options.policies) {
      for (const Places& places : arms) {
        TESSERA_RETURN_IF_ERROR(run_policy(policy, places, stage, run));
      }
      if (options.after_policy) {
        options.after_policy(run);
      }
    }
  }
  if (options.bare && subject.parts.size() == 1) {
    TESSERA_RETURN_IF_ERROR(add_bare(subject.parts.front(), repository, *stage.stores.front(), options, run));
  }
  return run;
}

}  // namespace tessera::measure
