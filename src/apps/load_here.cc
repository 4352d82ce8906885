#include "apps/load_here.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "apps/make_service.h"
#include "apps/workload_files.h"
#include "base/affinity.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pause.h"
#include "client/inputs.h"
#include "loadgen/random.h"
#include "model/live_params.h"
#include "sched/policy.h"
#include "server/status.h"
#include "sim/profiles.h"

namespace tessera::apps {
namespace {

constexpr std::size_t kAlign = 64;
constexpr std::chrono::seconds kToFinish{30};
constexpr std::chrono::minutes kToGrow{10};
constexpr int kTryLater = 503;
constexpr std::size_t kCoresAWatcher = 6;  // of which one watches, where cores are not what computes

std::size_t aligned(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

// As the metadata endpoint would tell it.
client::ModelFacts facts_of(const model::Instance& instance) {
  client::ModelFacts out{instance.name, instance.signature.inputs};
  for (TensorSpec& input : out.inputs) {
    input.shape = instance.signature.max_batch_size > 0 ? input.shape.with_first(-1) : input.shape;
  }
  return out;
}

sched::LiveParams with_terms(sched::LiveParams params, const loadgen::Tenant& tenant, bool shares) {
  if (tenant.slo) {
    params.slo = tenant.slo;
    params.slo_policy = tenant.spec.best_effort ? sched::SloPolicy::kBestEffort : sched::SloPolicy::kReject;
  }
  if (shares) {
    params.weight = tenant.spec.weight;
    params.reserved_share = tenant.spec.reserved_share;
    params.reserved_lend = tenant.spec.reserved_lend;
    params.max_share = tenant.spec.max_share;
  }
  return params;
}

// Of two tenants of one model.
sched::LiveParams tightened(sched::LiveParams one, const sched::LiveParams& other) {
  if (other.slo && (!one.slo || *other.slo < *one.slo)) {
    one.slo = other.slo;
    one.slo_policy = other.slo_policy;
  }
  one.weight = std::max(one.weight, other.weight);
  one.reserved_share = std::max(one.reserved_share, other.reserved_share);
  one.reserved_lend = one.reserved_lend && other.reserved_lend;
  one.max_share = std::max(one.max_share, other.max_share);
  return one;
}

}  // namespace

class HereTarget::Call final : public runtime::InferCall {
 public:
  Call(loadgen::Inbox& inbox, std::uint64_t number) : inbox_(inbox), number_(number) {}

  void done(Result<InferResponse> result) noexcept override {
    loadgen::Answer answer;
    answer.number = number_;
    answer.at = now();
    if (!result.ok()) {
      const bool rejected = server::http_status(result.error().code()) == kTryLater;
      answer.kind = rejected ? loadgen::Answer::Kind::kRejected : loadgen::Answer::Kind::kFailed;
      answer.text = rejected ? std::string() : result.error().message();
    }
    inbox_.push(std::move(answer));
  }

 private:
  loadgen::Inbox& inbox_;
  const std::uint64_t number_;
};

// Holds what is in flight at most. A thread that sleeps takes 20 to 200 us to wake up, which no server's client would
// have to wait for; so some of them watch for a while before they sleep.
class HereTarget::HandOver {
 public:
  HandOver(runtime::Service& service, std::size_t threads, std::size_t watchers)
      : service_(service), most_watching_(watchers) {
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this] { work(); });
    }
  }
  ~HandOver() {  // after what was pushed
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }
  HandOver(const HandOver&) = delete;
  HandOver& operator=(const HandOver&) = delete;

  void push(std::shared_ptr<Call> call) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      calls_.push_back(std::move(call));
      waiting_.store(calls_.size());
    }
    if (watching_.load() == 0) {
      changed_.notify_one();
    }
  }

 private:
  static constexpr std::chrono::milliseconds kWatch{20};  // longer than open loops pause

  // Without the lock.
  void watch() {
    if (watching_.fetch_add(1) < most_watching_) {
      const TimePoint until = now() + kWatch;
      while (waiting_.load() == 0 && now() < until) {
        pause_briefly();
      }
    }
    watching_.fetch_sub(1);
  }

  void work() {
    name_this_thread("load-hand-over");
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      if (calls_.empty() && !ending_) {
        lock.unlock();
        watch();
        lock.lock();
      }
      changed_.wait(lock, [this] { return ending_ || !calls_.empty(); });
      if (calls_.empty()) {
        return;
      }
      std::shared_ptr<Call> call = std::move(calls_.front());
      calls_.pop_front();
      waiting_.store(calls_.size());
      if (!calls_.empty()) {
        changed_.notify_one();  // whoever pushed may have counted on this thread
      }
      lock.unlock();
      service_.infer(std::move(call));
      lock.lock();
    }
  }

  runtime::Service& service_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::size_t most_watching_;
  std::atomic<std::size_t> watching_{0};
  std::atomic<std::size_t> waiting_{0};      // calls_.size(), for who watches
  std::deque<std::shared_ptr<Call>> calls_;  // guarded by mutex_
  bool ending_ = false;                      // likewise
  std::vector<std::thread> threads_;
};

HereTarget::HereTarget(const LoadOptions& options, const loadgen::Workload& workload) : options_(options) {
  for (const loadgen::TenantSpec& tenant : workload.tenants) {
    models_.push_back(tenant.model);
  }
  forms_.resize(models_.size());
}

HereTarget::~HereTarget() {
  hand_over_.reset();
  if (service_ != nullptr && !service_->drain(kToFinish)) {
    log(LogLevel::kWarning, "requests were still running 30 s after the end");
  }
}

Result<std::unique_ptr<HereTarget>> HereTarget::create(const LoadOptions& options, const loadgen::Workload& workload) {
  std::unique_ptr<HereTarget> out(new HereTarget(options, workload));
  ServeOptions serve = options.service;
  serve.control = model::ControlMode::kExplicit;
  const std::set<std::string> models(out->models_.begin(), out->models_.end());
  serve.load_models.assign(models.begin(), models.end());
  set_up_log(LogFormat::kText, LogLevel::kWarning);
  TESSERA_ASSIGN_OR_RETURN(const auto topology, device::HostTopology::of(serve.host_cores));
  TESSERA_ASSIGN_OR_RETURN(out->service_, make_service(serve, topology, {}));
  TESSERA_RETURN_IF_ERROR(out->service_->start());
  if (!out->service_->models().settled(kToGrow)) {
    return Error(ErrorCode::kDeadlineExceeded, "not all batch sizes of the models were there within 10 minutes");
  }
  const std::size_t cores = topology.cpus().size();
  const std::size_t watchers = out->service_->device_kind() == "host" ? 0 : cores / kCoresAWatcher;
  out->hand_over_ = std::make_unique<HandOver>(*out->service_, std::min(cores, kMostIoThreads), watchers);
  return out;
}

Status HereTarget::prepare(std::size_t tenant, std::int32_t rows) {
  if (forms_[tenant].count(rows) > 0) {
    return ok_status();
  }
  TESSERA_ASSIGN_OR_RETURN(const auto instance, service_->find(models_[tenant], std::nullopt));
  if (const std::int32_t most = instance->signature.max_batch_size; most > 0 && rows > most) {
    return invalid_argument("model '" + models_[tenant] + "' takes at most " + std::to_string(most) + " rows");
  }
  TESSERA_ASSIGN_OR_RETURN(const auto inputs, make_inputs(facts_of(*instance), options_.shapes, rows,
                                                          loadgen::seed_of(options_.seed, tenant)));
  std::size_t total = kAlign;
  for (const client::InputData& input : inputs) {
    total += aligned(input.bytes.size());
  }
  Form form;
  TESSERA_ASSIGN_OR_RETURN(form.memory, service_->lease_body(models_[tenant], Bytes{total}));
  TESSERA_RETURN_IF_ERROR(form.memory->charge(Bytes{total}));
  std::size_t at = 0;
  for (const client::InputData& input : inputs) {
    const auto place = form.memory->bytes().subspan(at, input.bytes.size());
    std::copy(input.bytes.begin(), input.bytes.end(), place.begin());
    form.inputs.push_back({input.name, {input.dtype, input.shape, place}});
    at += aligned(input.bytes.size());
  }
  forms_[tenant].emplace(rows, std::move(form));
  return ok_status();
}

Status HereTarget::set_terms(const std::vector<loadgen::Tenant>& tenants) {
  TESSERA_ASSIGN_OR_RETURN(const auto policy, sched::make_policy(service_->policy()));
  const bool shares = policy->heeds_shares();
  std::map<std::string, sched::LiveParams> terms;
  for (const loadgen::Tenant& tenant : tenants) {
    const auto found = terms.find(tenant.spec.model);
    if (found == terms.end()) {
      TESSERA_ASSIGN_OR_RETURN(const auto now, service_->params(tenant.spec.model));
      terms.emplace(tenant.spec.model, with_terms(now, tenant, shares));
    } else {
      found->second = tightened(found->second, with_terms(found->second, tenant, shares));
    }
  }
  // Those that reserve no more than they did come first, so that there is room for the others.
  for (const bool more : {false, true}) {
    for (const auto& [model, params] : terms) {
      TESSERA_ASSIGN_OR_RETURN(const auto now, service_->params(model));
      if (more != (params.reserved_share > now.reserved_share)) {
        continue;
      }
      const auto changed = service_->change_params(model, model::written_params(params));
      if (!changed.ok()) {
        return changed.error().in("model '" + model + "'");
      }
    }
  }
  return ok_status();
}

// Shares are taken back first, as a policy that heeds none is not put over models that have some.
Status HereTarget::change_policy(const std::string& policy, const std::vector<loadgen::Tenant>& tenants) {
  std::vector<loadgen::Tenant> plain = tenants;
  for (loadgen::Tenant& tenant : plain) {
    const loadgen::TenantSpec standard;
    tenant.spec.weight = standard.weight;
    tenant.spec.reserved_share = standard.reserved_share;
    tenant.spec.reserved_lend = standard.reserved_lend;
    tenant.spec.max_share = standard.max_share;
  }
  TESSERA_RETURN_IF_ERROR(set_terms(plain));
  TESSERA_RETURN_IF_ERROR(service_->change_policy(policy));
  return set_terms(tenants);
}

Result<std::string> HereTarget::learned() const {
  const runtime::Snapshot known = service_->snapshot();
  sim::DeviceProfile device;
  device.shape = known.device;
  device.traits.jitter = known.jitter;
  for (const runtime::Snapshot::Tenant& tenant : known.tenants) {
    if (!tenant.points.empty()) {
      device.models[tenant.name] = {tenant.points, {}, sim::neighbour_of_slope(tenant.beside_others)};
    }
  }
  if (device.models.empty()) {
    return unavailable("the scheduler has learned no latency yet; a longer run helps");
  }
  sim::MeasuredDevice about;
  about.name = known.device.name;
  about.hardware = known.device.name;
  about.source = options_.command;
  about.date = today();
  about.note =
      "points: [rows, processors, microseconds], as the scheduler had learned them by the end of this run, neighbours "
      "taken out; neighbour: what busy atoms beside them were seen to cost runs; "
      "jitter_us: deviation of what runs took from what was predicted";
  return sim::profiles_json(about, device);
}

bool HereTarget::send(std::size_t tenant, std::int32_t rows, std::uint64_t number) {
  return send_due(tenant, rows, number, now());
}

bool HereTarget::send_due(std::size_t tenant, std::int32_t rows, std::uint64_t number, TimePoint due) {
  const auto form = forms_[tenant].find(rows);
  TESSERA_CHECK(form != forms_[tenant].end());
  auto call = std::make_shared<Call>(inbox_, number);
  call->request.model = models_[tenant];
  call->request.inputs = form->second.inputs;
  call->request.memory = form->second.memory;
  call->request.arrival = due;
  hand_over_->push(std::move(call));
  return true;
}

std::optional<loadgen::Usage> HereTarget::usage() const {
  loadgen::Usage out;
  out.at = now();
  for (const runtime::DeviceStatistics& device : service_->device_statistics()) {
    out.atoms += static_cast<int>(device.busy_seconds.size());
    for (const double seconds : device.busy_seconds) {
      out.atom_seconds += seconds;
    }
  }
  return out;
}

}  // namespace tessera::apps
