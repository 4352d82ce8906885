#include "runtime/service.h"

#include <set>
#include <utility>

#include "base/log.h"
#include "runtime/serving.h"

namespace tessera::runtime {

// Puts the parts together, in the order in which they need each other. Thread-safe.
class Service::State {
 public:
  State(ServiceOptions options, const sched::Policy& policy, std::unique_ptr<engine::Engine> engine,
        std::unique_ptr<Serving> serving)
      : named_by_policy(policy.named_models()),
        strict_readiness(options.strict_readiness),
        control(options.models.control),
        serving(std::move(serving)),
        engine(std::move(engine)),
        models(std::move(options.models), *this->serving, *this->engine) {}

  // Whether every model that the start wanted has a version that serves.
  bool all_ready() {
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
  void warn_of_unknown_names() const {
    std::set<std::string> loaded;
    for (const auto& instance : serving->serving()) {
      loaded.insert(instance->name);
    }
    for (const std::string& name : named_by_policy) {
      if (loaded.count(name) == 0) {
        log(LogLevel::kWarning, "the options of --policy name a model that is not loaded", {{"model", name}});
      }
    }
  }

  const std::vector<std::string> named_by_policy;
  const bool strict_readiness;
  const model::ControlMode control;
  std::atomic<bool> started{false};
  std::atomic<bool> all_ready_at_start{false};
  const std::unique_ptr<Serving> serving;        // owns the device, which the engine may be made for
  const std::unique_ptr<engine::Engine> engine;  // outlives the models
  model::Lifecycle models;                       // destroyed first: unloads through `serving`
};

Result<std::unique_ptr<Service>> Service::create(ServiceOptions options, std::unique_ptr<device::Device> device,
                                                 std::unique_ptr<engine::Engine> engine) {
  TESSERA_ASSIGN_OR_RETURN(const auto policy, sched::make_policy(options.policy));
  if (!policy->heeds_shares()) {
    options.models.defaults.policy_without_shares = policy->name();
  }
  ServingOptions serving_options;
  serving_options.policy = options.policy;
  serving_options.body_quota_per_model = options.body_quota_per_model;
  serving_options.limits.max_waiting = options.max_waiting;
  TESSERA_ASSIGN_OR_RETURN(auto serving, Serving::create(std::move(serving_options), std::move(device)));
  auto state = std::make_unique<State>(std::move(options), *policy, std::move(engine), std::move(serving));
  return std::unique_ptr<Service>(new Service(std::move(state)));
}

Service::Service(std::unique_ptr<State> state) : state_(std::move(state)) {}
Service::~Service() = default;

Status Service::start() {
  Status status = state_->models.start();
  state_->all_ready_at_start.store(status.ok());
  state_->started.store(true);
  if (status.ok()) {  // else names may be unknown because loading ended early
    state_->warn_of_unknown_names();
  }
  return status;
}

void Service::infer(std::shared_ptr<InferCall> call) { state_->serving->infer(std::move(call)); }
void Service::cancel(const InferCall& call) { state_->serving->cancel(call); }

Result<std::shared_ptr<BodyMemory>> Service::lease_body(std::string_view model, Bytes size) {
  return state_->serving->lease_body(model, size);
}

Result<std::shared_ptr<const model::Instance>> Service::find(std::string_view model,
                                                             std::optional<std::int64_t> version) const {
  return state_->serving->find(model, version);
}
std::vector<std::int64_t> Service::versions(std::string_view model) const { return state_->serving->versions(model); }
std::vector<std::shared_ptr<const model::Instance>> Service::serving() const { return state_->serving->serving(); }

bool Service::live() const { return true; }
bool Service::accepts() const { return state_->serving->accepts(); }
bool Service::ready() const {
  return state_->started.load() && accepts() && (!state_->strict_readiness || state_->all_ready());
}

model::Lifecycle& Service::models() { return state_->models; }
model::ControlMode Service::control_mode() const { return state_->control; }

Result<std::vector<ModelStatistics>> Service::statistics(std::string_view model,
                                                         std::optional<std::int64_t> version) const {
  return state_->serving->statistics().of(model, version);
}
std::vector<ModelStatistics> Service::statistics() const { return state_->serving->statistics().all(); }
DeviceStatistics Service::device_statistics() const {
  DeviceStatistics out = state_->serving->device_statistics();
  out.copied_tensor_bytes += state_->engine->copied_tensor_bytes().value;
  return out;
}
void Service::count_copied(Bytes bytes) { state_->serving->count_copied(bytes); }

bool Service::drain(std::chrono::milliseconds limit) { return state_->serving->drain(limit); }

}  // namespace tessera::runtime
