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
#include "measure/cpu_time.h"
#include "measure/loops.h"
#include "measure/models.h"
#include "measure/numbers.h"
#include "measure/shared_parts.h"
#include "measure/tenant.h"
#include "runtime/service.h"

namespace tessera::measure {
namespace {

namespace fs = std::filesystem;

// As parameters.convert_inputs has it.
std::string text_of(const InputForms& forms) {
  std::string text;
  for (const auto& [name, form] : forms) {
    text += (text.empty() ? "" : ",") + name + "=" + std::string(protocol_name(form.dtype)) +
            (form.channels_last ? ":HWC" : "");
  }
  return text;
}

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
  void add(const std::string& name, const fs::path& model, const InputForms& forms,
           const SharingOptions& options) const {
    fs::create_directories(folder_ / name / "1");
    for (const auto& file : fs::directory_iterator(model / "1")) {
      std::error_code failed;
      const fs::path to = folder_ / name / "1" / file.path().filename();
      fs::create_hard_link(file.path(), to, failed);
      if (failed) {
        fs::copy_file(file.path(), to);
      }
    }
    std::ofstream config(folder_ / name / "config.pbtxt");
    config << "max_batch_size: " << *std::max_element(options.batches.begin(), options.batches.end())
           << "\ninstance_group [ { count: " << options.lanes << " } ]\n";
    if (!forms.empty()) {
      config << "parameters { key: \"convert_inputs\" value { string_value: \"" << text_of(forms) << "\" } }\n";
    }
  }

 private:
  const fs::path folder_;
};

struct Tenants {
  std::vector<std::string> names;  // in the order of the mix
  std::vector<InputForms> forms;   // likewise
};

Result<Tenants> fill(const Repository& repository, engine::Engine& engine, const SharingOptions& options) {
  std::map<std::string, int> seen;
  Tenants tenants;
  for (const std::string& model : options.mix) {
    if (!fs::is_directory(options.models / model / "1")) {
      return not_found("there is no version 1 of a model '" + model + "' in " + options.models.string());
    }
    const int count = ++seen[model];
    tenants.names.push_back(count == 1 ? model : model + "_" + std::to_string(count));
    TESSERA_ASSIGN_OR_RETURN(tenants.forms.emplace_back(), input_forms_of(engine, options.models / model));
    repository.add(tenants.names.back(), options.models / model, tenants.forms.back(), options);
  }
  return tenants;
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

// Of the device where it is most.
double dispatching(const runtime::Service& service) {
  double most = 0;
  for (const auto& device : service.device_statistics()) {
    most = std::max(most, device.dispatching_seconds);
  }
  return most;
}

// Seconds since the start.
struct Used {
  double dispatching = 0;
  double polling = 0;
  double process = 0;
};

Used used(const runtime::Service& service) {
  return {dispatching(service), busiest_thread_seconds(":poll"), process_cpu_seconds()};
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
  const Used before = used(service);
  std::this_thread::sleep_for(until - now());
  const Used after = used(service);
  cell.dispatching.push_back((after.dispatching - before.dispatching) / options.seconds);
  cell.polling.push_back((after.polling - before.polling) / options.seconds);
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
  if (const double answered = images(measured) * options.seconds; answered > 0) {
    cell.cpu_us.push_back((after.process - before.process) * 1e6 / answered);
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

// What several loops of one tenant did, its lanes.
Measured together(const std::vector<LoopTimes>& times, std::size_t from, std::size_t lanes, std::int64_t rows) {
  Measured all;
  for (std::size_t i = from; i < from + lanes; ++i) {
    all.per_second += times[i].per_second * static_cast<double>(rows);
    all.p50_ms += times[i].whole_p50_ms / static_cast<double>(lanes);
    all.p99_ms = std::max(all.p99_ms, times[i].whole_p99_ms);
  }
  return all;
}

// One round of it. Nothing between the device and its plans: every tenant's lanes, each with one launch on its way or
// waiting for its turn, as the policy would have them share the device. On the loader thread.
Status bare_loops(const Part& part, const Repository& repository, ModelStore& store, const Tenants& tenants,
                  const SharingOptions& options, const Arm& arm, Cell& cell) {
  const std::vector<Slice> slices = side_by_side(part.device.shape(), tenants.names.size());
  const bool sliced = arm.policy == "fixed";
  if (sliced && slices.size() < tenants.names.size()) {
    return ok_status();  // there are too few
  }
  std::vector<std::unique_ptr<engine::TrialBatch>> batches;
  std::vector<Loop> loops;
  const auto rows = static_cast<std::int32_t>(cell.rows);
  const auto add = [&](std::size_t tenant, std::uint16_t lane) -> Status {
    const auto model = store.find(repository.folder() / tenants.names[tenant] / "1" / "model.onnx");
    if (model == nullptr) {
      return not_found(tenants.names[tenant] + " was not loaded");
    }
    const Slice slice = sliced ? slices[tenant] : part.device.shape().whole();
    TESSERA_ASSIGN_OR_RETURN(const device::Plan* plan, model->prepare_home(rows, {lane}, slice));
    const engine::FileSignature given = as_given(model->signature(), tenants.forms[tenant]);
    TESSERA_ASSIGN_OR_RETURN(auto batch,
                             engine::TrialBatch::make(part.device.staging(), given, rows, rows, true, lane));
    batches.push_back(std::make_unique<engine::TrialBatch>(std::move(batch)));
    loops.push_back({.plan = plan,
                     .batch = &batches.back()->batch(),
                     .instance = {static_cast<std::uint32_t>(tenant + 1)},
                     .lane = {lane},
                     .slice = slice,
                     .after = arm.policy == "streams" ? device::After::kLane : device::After::kOverlap});
    return ok_status();
  };
  for (std::size_t tenant = 0; tenant < tenants.names.size(); ++tenant) {
    for (std::uint16_t lane = 0; lane < options.lanes; ++lane) {
      TESSERA_RETURN_IF_ERROR(add(tenant, lane));
    }
  }
  Loops runner(part.device);
  const std::size_t most = arm.policy == "temporal" ? 1U + arm.committed.value_or(1) : loops.size();
  TESSERA_ASSIGN_OR_RETURN(const auto times, runner.run(loops, seconds_of(options.seconds), {}, most));
  std::vector<Measured>& measured = cell.bare.emplace_back();
  const auto lanes = static_cast<std::size_t>(options.lanes);
  for (std::size_t tenant = 0; tenant < tenants.names.size(); ++tenant) {
    measured.push_back(together(times, tenant * lanes, lanes, cell.rows));
  }
  return ok_status();
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
struct SharingStage {
  const Subject& subject;
  const SharingOptions& options;
  const Repository& repository;
  const Tenants& tenants;
  std::vector<std::unique_ptr<ModelStore>> stores;  // by part
};

// Of the policy's cells, where its launches can be had without a scheduler.
Status run_bare(const std::string& policy, const SharingStage& stage, Run& run) {
  TESSERA_ASSIGN_OR_RETURN(const Arm arm, parse_arm(policy));
  if (arm.policy != "temporal" && arm.policy != "streams" && arm.policy != "fixed") {
    return ok_status();
  }
  const Part& part = stage.subject.parts.front();
  return as_loader_of(part.device, [&]() -> Status {
    for (Cell& cell : run.cells) {
      if (cell.policy == policy) {
        TESSERA_RETURN_IF_ERROR(
            bare_loops(part, stage.repository, *stage.stores.front(), stage.tenants, stage.options, arm, cell));
      }
    }
    return ok_status();
  });
}

// One policy, all batch sizes: a service of its own over the shared devices and models.
Status run_policy(const std::string& policy, const Places& places, const SharingStage& stage, Run& run) {
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
  TESSERA_ASSIGN_OR_RETURN(const Tenants tenants, fill(repository, subject.parts.front().engine, options));
  run.tenants = tenants.names;
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
  SharingStage stage{subject, options, repository, tenants, {}};
  const std::vector<std::int32_t> buckets(options.batches.begin(), options.batches.end());
  for (const Part& part : subject.parts) {
    stage.stores.push_back(std::make_unique<ModelStore>(part.engine, part.device.shape().ladder.size(), buckets));
  }
  for (int round = 0; round < options.rounds; ++round) {
    std::fprintf(stderr, "round %d of %d\n", round + 1, options.rounds);
    for (const std::string& policy : options.policies) {
      for (const Places& places : arms) {
        TESSERA_RETURN_IF_ERROR(run_policy(policy, places, stage, run));
      }
      if (options.bare && subject.parts.size() == 1) {
        TESSERA_RETURN_IF_ERROR(run_bare(policy, stage, run));
      }
      if (options.after_policy) {
        options.after_policy(run);
      }
    }
  }
  return run;
}

}  // namespace tessera::measure
