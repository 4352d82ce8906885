#include "runtime/service.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "base/log.h"
#include "runtime/fleet.h"

namespace tessera::runtime {

namespace {

// The policy that decides, as it was named. Thread-safe.
class PolicyName {
 public:
  void set(std::string text, const sched::Policy& policy) {
    const std::lock_guard lock(mutex_);
    text_ = std::move(text);
    without_shares_ = policy.heeds_shares() ? std::string() : std::string(policy.name());
  }
  std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  std::string without_shares() const {  // its name, where it heeds no shares
    const std::lock_guard lock(mutex_);
    return without_shares_;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
  std::string without_shares_;
};

}  // namespace

// Puts the parts together, in the order in which they need each other. Thread-safe.
class Service::State {
 public:
  using Engines = Growing<engine::Engine, kMaxDevices>;

  State(ServiceOptions options, std::shared_ptr<PolicyName> policy_name, const sched::Policy& policy,
        std::unique_ptr<Engines> engines, std::unique_ptr<Fleet> fleet)
      : named_by_policy(policy.named_models()),
        policy_name(std::move(policy_name)),
        recorder(options.recorder),
        strict_readiness(options.strict_readiness),
        control(options.models.control),
        device_kind(options.models.defaults.device_kind),
        on_all_lost(std::move(options.on_all_lost)),
        on_stuck(std::move(options.on_stuck)),
        fleet(std::move(fleet)),
        engines(std::move(engines)),
        models(options.models, places(*this->fleet, *this->engines)) {
    this->fleet->on_faults(
        {[this](std::size_t number) { lost(number); }, [this](std::size_t number, const model::Instance& instance,
                                                              const Error* why) { stuck(number, instance, why); }});
    this->fleet->on_wanted([this](std::size_t number, const std::string& model) { models.bring_back(number, model); });
  }
  ~State() {
    fleet->on_faults({});
    fleet->end_waits();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  static std::vector<model::Place> places(Fleet& fleet, const Engines& engines) {
    std::vector<model::Place> out;
    for (std::size_t i = 0; i < fleet.size(); ++i) {
      out.push_back({fleet.unit(i), *engines[i]});
    }
    return out;
  }

  void lost(std::size_t number) {
    if (fleet->any_up()) {
      models.device_lost(number);
    } else if (!all_lost.exchange(true)) {
      on_all_lost();
    }
  }

  void stuck(std::size_t number, const model::Instance& instance, const Error* why) {
    if (why != nullptr) {
      models.stuck(number, instance.name, instance.version, why->message());
    } else {
      models.stuck_ended(number, instance.name, instance.version);
    }
    {
      const std::lock_guard lock(stuck_mutex);
      if (why != nullptr) {
        stuck_with[{number, instance.id}] = why->message();
      } else {
        stuck_with.erase({number, instance.id});
      }
    }
    on_stuck();
  }

  std::optional<std::string> why_stuck() {
    const std::lock_guard lock(stuck_mutex);
    return stuck_with.empty() ? std::nullopt : std::optional(stuck_with.begin()->second);
  }

  // Whether every model that the start wanted has a version that serves.
  bool all_ready() {
    if (!models.all_moved()) {
      return false;
    }
    if (all_ready_at_start.load()) {
      return true;
    }
    std::set<std::string> ready;
    std::set<std::string> known;
    for (const model::IndexEntry& entry : models.index()) {
      known.insert(entry.name);
      if (entry.state == "READY") {
        ready.insert(entry.name);
      }
    }
    return ready == known;
  }

  // Probably a slip, which nothing else would show.
  void warn_of_unknown_names(const std::vector<std::string>& named) const {
    std::set<std::string> loaded;
    for (const auto& instance : fleet->serving()) {
      loaded.insert(instance->name);
    }
    for (const std::string& name : named) {
      if (loaded.count(name) == 0) {
        log(LogLevel::kWarning, "the options of --policy name a model that is not loaded", {{"model", name}});
      }
    }
  }

  Status add_device(DeviceUnit unit, std::function<void(Status)> loaded) {
    const std::string name = unit.device->shape().name;
    const std::lock_guard one_at_a_time(adding);
    for (const DeviceStatistics& there : fleet->device_statistics()) {
      if (there.device == name) {
        return Error(ErrorCode::kAlreadyExists, "device '" + name + "' is there already");
      }
    }
    if (unit.engine->name() != engines->front()->name()) {
      return invalid_argument("device '" + name + "' has another engine than those that are there");
    }
    if (!started.load()) {
      return unavailable("the server is still starting; ask again when it is ready");
    }
    if (half_added) {
      return unavailable("a device could be added by half only: the server has to start anew to get more");
    }
    half_added = true;  // until all has gone well
    std::size_t number = 0;
    {
      const std::lock_guard lock(changing);
      const auto added = fleet->add(std::move(unit.device), policy_name->text(), unit.max_homes);
      half_added = added.ok();
      TESSERA_RETURN_IF_ERROR(added.ok() ? ok_status() : Status(added.error()));
      number = *added;
    }
    engines->push_back(std::move(unit.engine));
    log(LogLevel::kInfo, "a device was added", {{"device", name}, {"number", static_cast<std::int64_t>(number)}});
    model::Joining others;
    others.served = [this] { return fleet->serving(); };
    others.loaded = [this, number](const std::string& model) {
      const std::lock_guard lock(changing);
      fleet->adopt_params(number, model);
    };
    models.add({fleet->unit(number), *(*engines)[number]}, std::move(others),
               [this, number, loaded = std::move(loaded)](Status status) {
                 loaded(status.ok() || !fleet->unit(number).is_down()
                            ? std::move(status)
                            : Status(Error(ErrorCode::kDeviceLost, "it was lost meanwhile")));
               });
    half_added = false;
    if (fleet->unit(number).is_down()) lost(number);  // who told of it may have come too early
    return ok_status();
  }

  Status change_policy(const std::string& text) {
    TESSERA_ASSIGN_OR_RETURN(const auto policy, sched::make_policy(text));
    const std::lock_guard lock(changing);
    if (!policy->heeds_shares()) {
      TESSERA_RETURN_IF_ERROR(fleet->check_params(policy->name()));
    }
    policy_name->set(text, *policy);  // first, so that a load that ends now is held against it
    fleet->change_policy(text);
    log(LogLevel::kInfo, "the policy was changed", {{"policy", text}});
    warn_of_unknown_names(policy->named_models());
    return ok_status();
  }

  const std::vector<std::string> named_by_policy;  // of the start
  const std::shared_ptr<PolicyName> policy_name;
  std::mutex adding;                         // of devices, one at a time; before `changing`
  bool half_added = false;                   // guarded by `adding`: what came next has thrown
  std::mutex changing;                       // of parameters and policy, one at a time
  const std::shared_ptr<Recorder> recorder;  // may be nullptr
  const bool strict_readiness;
  const model::ControlMode control;
  const std::string device_kind;
  std::atomic<bool> started{false};
  std::atomic<bool> all_ready_at_start{false};
  const std::function<void()> on_all_lost;
  const std::function<void()> on_stuck;
  std::mutex stuck_mutex;
  std::map<std::pair<std::size_t, InstanceId>, std::string> stuck_with;  // by device and instance
  std::atomic<bool> all_lost{false};
  const std::unique_ptr<Fleet> fleet;      // owns the devices, which engines may be made for
  const std::unique_ptr<Engines> engines;  // outlive the models
  model::Lifecycle models;                 // destroyed first: unloads through `fleet`
};

Result<std::unique_ptr<Service>> Service::create(ServiceOptions options, std::unique_ptr<device::Device> device,
                                                 std::unique_ptr<engine::Engine> engine) {
  std::vector<DeviceUnit> units;
  units.push_back({std::move(device), std::move(engine)});
  return create(std::move(options), std::move(units));
}

Result<std::unique_ptr<Service>> Service::create(ServiceOptions options, std::vector<DeviceUnit> units) {
  TESSERA_ASSIGN_OR_RETURN(const auto policy, sched::make_policy(options.policy));
  const auto policy_name = std::make_shared<PolicyName>();
  policy_name->set(options.policy, *policy);
  options.models.defaults.policy_without_shares = [policy_name] { return policy_name->without_shares(); };
  ServingOptions serving_options;
  serving_options.policy = options.policy;
  serving_options.own_policy = options.own_policy;
  serving_options.recorder = options.recorder;
  serving_options.body_quota_per_model = options.body_quota_per_model;
  serving_options.limits.max_waiting = options.max_waiting;
  serving_options.limits.max_homes = options.max_homes;
  std::vector<std::unique_ptr<device::Device>> devices;
  auto engines = std::make_unique<State::Engines>();
  for (DeviceUnit& unit : units) {
    devices.push_back(std::move(unit.device));
    if (engines->size() < engines->capacity()) {
      engines->push_back(std::move(unit.engine));
    }
  }
  options.models.defaults.devices = [of = engines.get()] { return of->size(); };
  TESSERA_ASSIGN_OR_RETURN(auto fleet, Fleet::create(serving_options, std::move(devices)));
  auto state = std::make_unique<State>(std::move(options), policy_name, *policy, std::move(engines), std::move(fleet));
  return std::unique_ptr<Service>(new Service(std::move(state)));
}

Service::Service(std::unique_ptr<State> state) : state_(std::move(state)) {}
Service::~Service() = default;

Status Service::start() {
  Status status = state_->models.start();
  state_->all_ready_at_start.store(status.ok());
  state_->started.store(true);
  if (status.ok()) {  // else names may be unknown because loading ended early
    state_->warn_of_unknown_names(state_->named_by_policy);
  }
  return status;
}

void Service::infer(std::shared_ptr<InferCall> call) { state_->fleet->infer(std::move(call)); }
void Service::cancel(const InferCall& call) { state_->fleet->cancel(call); }

Result<std::shared_ptr<BodyMemory>> Service::lease_body(std::string_view model, Bytes size) {
  return state_->fleet->lease_body(model, size);
}

Result<std::shared_ptr<const model::Instance>> Service::find(std::string_view model,
                                                             std::optional<std::int64_t> version) const {
  return state_->fleet->find(model, version);
}
std::vector<std::int64_t> Service::versions(std::string_view model) const { return state_->fleet->versions(model); }
std::vector<std::shared_ptr<const model::Instance>> Service::serving() const { return state_->fleet->serving(); }

bool Service::live() const { return state_->fleet->any_up(); }
std::optional<std::string> Service::stuck() const { return state_->why_stuck(); }
bool Service::accepts() const { return state_->fleet->accepts(); }
bool Service::ready() const {
  return state_->started.load() && accepts() && !stuck() && (!state_->strict_readiness || state_->all_ready());
}

Result<sched::LiveParams> Service::params(std::string_view model, std::optional<std::int64_t> version) const {
  return state_->fleet->params(model, version);
}

Result<sched::LiveParams> Service::change_params(std::string_view model, const model::ParamChanges& changes) {
  const std::lock_guard lock(state_->changing);
  auto now = state_->fleet->change_params(model, changes, state_->policy_name->without_shares());
  if (now.ok()) {
    for (const auto& [name, value] : changes) {
      log(LogLevel::kInfo, "a parameter was changed",
          {{"model", std::string(model)}, {"parameter", name}, {"value", value.value_or("none")}});
    }
  }
  return now;
}

Result<std::shared_ptr<const inference::ModelConfig>> Service::config(std::string_view model,
                                                                      std::optional<std::int64_t> version) const {
  TESSERA_ASSIGN_OR_RETURN(const auto instance, find(model, version));
  TESSERA_ASSIGN_OR_RETURN(const auto now, params(model, version));
  return model::config_with(instance->config, now, model::memory_text(state_->fleet->memory(*instance)));
}

std::string Service::policy() const { return state_->policy_name->text(); }
Snapshot Service::snapshot() {
  Snapshot out = state_->fleet->snapshot();
  out.policy = policy();
  return out;
}
Status Service::add_device(DeviceUnit unit, std::function<void(Status)> loaded) {
  return state_->add_device(std::move(unit), std::move(loaded));
}

Status Service::change_policy(const std::string& policy) { return state_->change_policy(policy); }

model::Lifecycle& Service::models() { return state_->models; }
model::ControlMode Service::control_mode() const { return state_->control; }
const std::string& Service::device_kind() const { return state_->device_kind; }

Result<std::vector<ModelStatistics>> Service::statistics(std::string_view model,
                                                         std::optional<std::int64_t> version) const {
  return of_model(state_->fleet->statistics(), model, version);
}
std::vector<ModelStatistics> Service::statistics() const { return state_->fleet->statistics(); }
std::vector<DeviceStatistics> Service::device_statistics() const {
  std::vector<DeviceStatistics> out = state_->fleet->device_statistics();
  for (std::size_t i = 0; i < std::min(out.size(), state_->engines->size()); ++i) {  // one may be joining
    out[i].copied_tensor_bytes += (*state_->engines)[i]->copied_tensor_bytes().value;
  }
  return out;
}
void Service::count_copied(Bytes bytes) { state_->fleet->count_copied(bytes); }

bool Service::refuse_new() { return state_->fleet->refuse_new(); }
bool Service::drain(std::chrono::milliseconds limit) { return state_->fleet->drain(limit); }
void Service::end_recording() {
  if (state_->recorder != nullptr) {
    state_->recorder->finish();
  }
}

void Service::abandon() { state_->fleet->abandon(); }

}  // namespace tessera::runtime
