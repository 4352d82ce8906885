#include "runtime/serving.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "runtime/admission.h"
#include "runtime/assembly.h"
#include "runtime/poll.h"
#include "runtime/shape_padding.h"

namespace tessera::runtime {
Result<std::unique_ptr<Serving>> Serving::create(ServingOptions options, std::unique_ptr<device::Device> device) {
  TESSERA_ASSIGN_OR_RETURN(auto policy, sched::make_policy(options.policy));
  if (options.own_policy) {
    policy = options.own_policy();
  }
  const auto& limits = options.limits;
  if (limits.max_waiting < 1 || limits.max_running < 1 || limits.max_waiting + limits.max_running > kMaxSlots) {
    return invalid_argument("at most " + std::to_string(kMaxSlots - limits.max_running) +
                            " requests can wait, at least one");
  }
  return std::unique_ptr<Serving>(new Serving(std::move(options), std::move(policy), std::move(device)));
}

Serving::Serving(ServingOptions options, std::unique_ptr<sched::Policy> policy, std::unique_ptr<device::Device> device)
    : device_(std::move(device)),
      number_(options.number),
      routes_(options.routes),
      aside_(options.aside),
      table_(options.body_quota_per_model),
      dispatcher_(*device_, std::move(policy), options.limits,
                  {.prepare = [this](const sched::PrepareHome& home) { return homing_.prepare(home); },
                   .drop = [this](const sched::DropHome& home) { homing_.drop(home); }},
                  with_replacement(std::move(options.neighbours)), {options.recorder, options.number, options.policy}),
      homing_(device_->shape().name,
              {.ready = [this](const sched::SliceReady& ready) { dispatcher_.slice_ready(ready); },
               .failed = [this](const sched::HomeFailed& failed) { dispatcher_.home_failed(failed); },
               .device_is_down = [this] { return dispatcher_.is_down(); }}) {}

// A request that an instance leaves behind when it is swapped for another one is that one's; where the model was set
// aside, it waits for the return.
Neighbours Serving::with_replacement(Neighbours neighbours) {
  neighbours.replaced = [this](std::shared_ptr<InferCall>& call, TimePoint arrived) {
    call->ticket_.store(0);
    return infer_if_known(call, arrived) || (aside_ != nullptr && aside_->take(call, arrived));
  };
  return neighbours;
}

Serving::~Serving() {
  draining_.store(true);
  homing_.stop();  // it tells the dispatcher, and homes on the device
  dispatcher_.stop();
  device_.reset();  // its last completions come to the dispatcher, which outlives it
}

void Serving::infer(std::shared_ptr<InferCall> call) {
  if (!infer_if_known(call)) {
    call->done(draining_.load() ? unavailable("the server is stopping") : unknown_model(call->request.model));
  }
}

bool Serving::infer_if_known(std::shared_ptr<InferCall>& call, std::optional<TimePoint> accepted) {
  const InferRequest& request = call->request;
  const auto served = table_.enter(request.model, request.version);
  if (!served) {
    return false;
  }
  if (const Status queued = queue(call, served, accepted); !queued.ok()) {
    served->admitting.fetch_sub(1);
    call->done(queued.error());
    served->unanswered.fetch_sub(1);
  }
  return true;
}

Status Serving::queue(std::shared_ptr<InferCall>& call, const std::shared_ptr<ServedInstance>& served,
                      std::optional<TimePoint> accepted) {
  // Read after the request was counted as unanswered, written by drain() before it counts: one of the two sees the
  // other.
  if (draining_.load() && !accepted) {
    return unavailable("the server is stopping");
  }
  const TimePoint stated = accepted.value_or(call->request.arrival);
  const TimePoint arrived = stated == TimePoint{} ? now() : stated;
  Ticket* ticket = dispatcher_.take_ticket();
  if (ticket == nullptr) {
    served->counters->fail(Failure::kQueueFull, now() - arrived, true);
    return Error(ErrorCode::kResourceExhausted, "Exceeds maximum queue size");
  }
  served->last_used.store(arrived.time_since_epoch().count(), std::memory_order_relaxed);
  ticket->served = served;
  ticket->arrived = arrived;
  if (Status admitted = admit(call->request, *ticket); !admitted.ok()) {
    served->counters->fail(Failure::kInvalid, Duration::zero(), false);
    dispatcher_.give_back(*ticket);
    return admitted;
  }
  if (ticket->rows == 0) {
    InferResponse response = empty_response(*ticket);
    dispatcher_.give_back(*ticket);
    served->admitting.fetch_sub(1);
    call->done(std::move(response));
    served->unanswered.fetch_sub(1);
    return ok_status();
  }
  if (ticket->given_sizes != ticket->bucket_sizes) {
    auto padded = pad_inputs(call->request, *ticket, [&](Bytes size) { return lease_padded(*served->instance, size); });
    if (!padded.ok()) {
      const bool full = padded.error().code() == ErrorCode::kResourceExhausted;
      served->counters->fail(full ? Failure::kQueueFull : Failure::kInvalid, full ? now() - arrived : Duration::zero(),
                             full);
      dispatcher_.give_back(*ticket);
      return padded.error();
    }
    ticket->padded = *std::move(padded);
    dispatcher_.count_copied(ticket->padded->copied);
  }
  call->device_.store(number_, std::memory_order_relaxed);
  call->ticket_.store(ticket->id().value);
  ticket->call = std::move(call);
  dispatcher_.post(*ticket, *served);
  return ok_status();
}

// Of a model that is being withdrawn there is no quota any more, but its last requests are let in.
Result<std::shared_ptr<BodyMemory>> Serving::lease_padded(const model::Instance& instance, Bytes size) {
  auto quota = table_.quota(instance.name);
  return runtime::lease_body(device_->staging(), quota ? std::move(quota) : std::make_shared<ByteQuota>(size),
                             instance.name, size);
}

void Serving::cancel(const InferCall& call) {
  if (const std::uint64_t ticket = call.ticket_.load(); ticket != 0) {
    dispatcher_.cancel({ticket});
  }
}

Result<std::shared_ptr<BodyMemory>> Serving::lease_body(std::string_view model, Bytes size) {
  auto quota = table_.quota(model);
  if (!quota) {
    return unknown_model(model);
  }
  return runtime::lease_body(device_->staging(), std::move(quota), model, size);
}

Result<std::shared_ptr<const model::Instance>> Serving::find(std::string_view model,
                                                             std::optional<std::int64_t> version) const {
  const auto served = table_.find(model, version);
  if (!served) {
    return unknown_model(model);
  }
  if (served->stuck.load(std::memory_order_acquire)) {
    return *served->stuck_with;
  }
  return served->instance;
}

std::vector<std::shared_ptr<const model::Instance>> Serving::serving() const {
  std::vector<std::shared_ptr<const model::Instance>> out;
  for (const auto& served : table_.all()) {
    out.push_back(served->instance);
  }
  return out;
}

bool Serving::drain(std::chrono::milliseconds limit) {
  draining_.store(true);
  const TimePoint end = add_saturating(now(), limit);
  while (book_.unanswered() != 0) {
    if (now() >= end) {
      return false;
    }
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

Status Serving::with_borrowed(const Slice& slice, Duration expected, const std::function<Status()>& step) {
  TESSERA_RETURN_IF_ERROR(dispatcher_.borrow(slice, expected));
  Status status = step();
  dispatcher_.give_back_slice();
  return status;
}

Status Serving::publish(std::shared_ptr<const model::Instance> instance, sched::Profile profile) {
  const sched::ModelParams& params = instance->config.params;
  if (params.buckets.empty() || !std::is_sorted(params.buckets.begin(), params.buckets.end()) || params.lanes == 0) {
    return internal_error("model '" + instance->name + "' has no batch sizes or no lane");
  }
  const InstanceId id = instance->id;
  auto counters = kept_counters(*instance);
  const auto served = std::make_shared<ServedInstance>(std::move(instance), device_->shape(), std::move(counters));
  published_[id] = served;
  if (served->instance->engine_model->homes_cheaply()) {
    homing_.add(served);
  }
  // The scheduler knows the instance before the first request can find it.
  dispatcher_.model_up(served, std::move(profile));
  if (const auto early = ready_before_publishing_.extract(id)) {
    for (const Slice& slice : early.mapped()) {
      slice_ready(*served->instance, slice);
    }
  }
  book_.add(served);
  table_.put(served);
  if (routes_ != nullptr) {
    routes_->put(number_, served);
  }
  if (aside_ != nullptr) {  // last: who does not find it there finds it here
    aside_->back(number_, served->instance->name, served->instance->version);
  }
  return ok_status();
}

void Serving::slice_ready(const model::Instance& instance, const Slice& slice) {
  const auto found = published_.find(instance.id);
  if (found == published_.end()) {
    ready_before_publishing_[instance.id].push_back(slice);
    return;
  }
  if (const Status entered = enter_plans(*found->second, slice); !entered.ok()) {
    log(LogLevel::kError, "a slice that was said to be ready has no plan",
        {{"model", instance.name}, {"reason", entered.error().message()}});
    return;
  }
  dispatcher_.slice_ready({instance.id, slice, std::nullopt, std::nullopt});
}

Status Serving::enter_plans(ServedInstance& served, const Slice& slice) {
  engine::LoadedModel& engine_model = *served.instance->engine_model;
  const sched::ModelParams& params = served.instance->config.params;
  for (const std::int32_t bucket : params.buckets) {
    for (std::uint16_t lane = 0; lane < params.lanes; ++lane) {
      TESSERA_ASSIGN_OR_RETURN(const device::Plan* plan, engine_model.prepare_home(bucket, {lane}, slice));
      served.plans.set(slice, bucket, {lane}, plan);
      if (engine_model.one_plan_per_slice()) {
        return ok_status();
      }
    }
  }
  return ok_status();
}

Status Serving::with_lane(const model::Instance& instance, LaneIndex lane, const std::function<Status()>& step) {
  TESSERA_RETURN_IF_ERROR(dispatcher_.borrow_lane(instance.id, lane));
  Status status = step();
  dispatcher_.give_back_lane(instance.id, lane);
  return status;
}

void Serving::plan_ready(const model::Instance& instance, const Slice& slice, std::int32_t bucket, LaneIndex lane) {
  const auto found = published_.find(instance.id);
  TESSERA_CHECK(found != published_.end());
  const auto plan = instance.engine_model->prepare_home(bucket, lane, slice);
  if (!plan.ok()) {
    log(LogLevel::kError, "a plan that was said to be ready is not there",
        {{"model", instance.name}, {"reason", plan.error().message()}});
    return;
  }
  found->second->plans.set(slice, bucket, lane, *plan);
  dispatcher_.slice_ready({instance.id, slice, bucket, lane});
}

void Serving::measured(const model::Instance& instance, const Slice& slice, std::int32_t bucket, Duration took) {
  dispatcher_.measured({instance.id, bucket, slice, took});
}

void Serving::buckets_end(const model::Instance& instance, const std::string& cause) {
  const auto found = published_.find(instance.id);
  TESSERA_CHECK(found != published_.end());
  found->second->no_more_rows = cause;
  dispatcher_.buckets_end(instance.id);
}

void Serving::reloaded(const model::Instance& instance) {
  const auto found = published_.find(instance.id);
  if (found != published_.end() && found->second->counters->params() != instance.config.params) {
    change_params(found->second, instance.config.params);
  }
}

std::vector<std::shared_ptr<ServedInstance>> Serving::served(std::string_view model) const {
  std::vector<std::shared_ptr<ServedInstance>> out = table_.all();
  std::erase_if(out, [&](const auto& served) { return served->instance->name != model; });
  return out;
}

// Those of the same version before it was set aside, so that nothing of what was counted goes.
std::shared_ptr<ModelCounters> Serving::kept_counters(const model::Instance& instance) {
  const auto model = left_.find(instance.name);
  if (model == left_.end()) {
    return nullptr;
  }
  const auto left = model->second.extract(instance.version);
  const auto same = [&](const model::Instance& before) {
    return before.signature.max_batch_size == instance.signature.max_batch_size &&
           before.config.params.slo == instance.config.params.slo &&
           before.config.uncaptured.empty() == instance.config.uncaptured.empty();
  };
  if (!left || !same(*left.mapped()->instance)) {
    return nullptr;
  }
  left.mapped()->counters->set_params(instance.config.params);  // a load takes the file's values
  return left.mapped()->counters;
}

std::optional<TimePoint> Serving::idle_since(const model::Instance& instance) {
  const auto found = published_.find(instance.id);
  TESSERA_CHECK(found != published_.end());
  const ServedInstance& served = *found->second;
  if (served.unanswered.load() != 0 || served.stuck.load(std::memory_order_acquire)) {
    return std::nullopt;
  }
  return TimePoint(Duration(served.last_used.load(std::memory_order_relaxed)));
}

sched::Profile Serving::set_aside(const model::Instance& instance) {
  const auto found = published_.find(instance.id);
  TESSERA_CHECK(found != published_.end());
  const std::shared_ptr<ModelCounters>& counters = found->second->counters;
  counters->evicted();
  if (aside_ != nullptr) {
    auto left = std::make_shared<ServedInstance>(model::without_engine_model(instance), device_->shape(), counters);
    left_[instance.name][instance.version] = left;
    aside_->put(number_, std::move(left), table_.quota(instance.name));
  }
  return withdraw(instance);
}

void Serving::end_aside(const std::string& model, const Status& why) {
  left_.erase(model);
  if (aside_ != nullptr) {
    aside_->end(number_, model, why);
  }
}

void Serving::return_failed(const std::string& model, const Error& error) {
  if (aside_ != nullptr) {
    aside_->failed(number_, model, error);
  }
}

sched::Profile Serving::withdraw(const model::Instance& instance) {
  ready_before_publishing_.erase(instance.id);
  const auto found = published_.extract(instance.id);
  if (!found) {
    return {};
  }
  const std::shared_ptr<ServedInstance> served = found.mapped();
  homing_.remove(instance.id);
  if (routes_ != nullptr) {  // first: who is sent here finds it
    routes_->remove(number_, instance.id);
  }
  table_.remove(instance.id);
  // Requests that found it in time are let in, then the door is shut.
  while (served->admitting.load() != 0) {
    std::this_thread::sleep_for(kPoll);
  }
  dispatcher_.model_down(served);
  served->drained.acquire();
  while (served->unanswered.load(std::memory_order_acquire) != 0) {
    std::this_thread::sleep_for(kPoll);
  }
  book_.withdraw(instance.id);
  return served->last_profile.value_or(sched::Profile());
}

}  // namespace tessera::runtime
