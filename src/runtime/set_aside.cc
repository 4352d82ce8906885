#include "runtime/set_aside.h"

#include <algorithm>
#include <thread>

#include "base/clock.h"
#include "runtime/admission.h"
#include "runtime/poll.h"
#include "sched/patience.h"

namespace tessera::runtime {
namespace {

std::chrono::milliseconds retry_after() { return std::chrono::ceil<std::chrono::milliseconds>(kRetryReturn); }

Error stopping() { return unavailable("the server is stopping"); }

Error objective_error(const model::Instance& instance) {
  return unavailable("Request for model '" + instance.name +
                     "' cannot be answered in time: its objective passed while the model, which was set aside for want "
                     "of memory, was loaded again")
      .with_retry_after(retry_after());
}

}  // namespace

void SetAside::on_wanted(Want want) {
  const std::lock_guard lock(mutex_);
  want_ = std::move(want);
}

// ---- What is set aside ----

const SetAside::Version* SetAside::look_up(const Models& models, std::string_view model,
                                           std::optional<std::int64_t> version) {
  const auto found = models.find(model);
  if (found == models.end()) {
    return nullptr;
  }
  const auto& versions = found->second.versions;  // never empty
  const auto at = version ? versions.find(*version) : std::prev(versions.end());
  return at == versions.end() ? nullptr : &at->second;
}

void SetAside::put(std::uint16_t device, std::shared_ptr<ServedInstance> served, std::shared_ptr<ByteQuota> quota) {
  const std::lock_guard lock(mutex_);
  if (timer_ == nullptr) {
    timer_ = std::make_unique<Timer>([this] { expire(); });
  }
  Model& model = models_[served->instance->name];
  model.quota = std::move(quota);
  Version& version = model.versions[served->instance->version];
  version.served = std::move(served);
  version.devices |= only(device);
}

void SetAside::forget(Model& model, std::uint16_t device) {
  for (auto& [number, version] : model.versions) {
    version.devices &= ~only(device);
  }
  std::erase_if(model.versions, [](const auto& version) { return version.second.devices == 0; });
  model.asked &= ~only(device);
}

SetAside::Waiters SetAside::leave(Model& model) {
  Waiters out;
  for (auto at = model.waiting.begin(); at != model.waiting.end();) {
    const auto next = std::next(at);
    const std::optional<std::int64_t> version = at->call->request.version;
    const bool aside = version ? model.versions.contains(*version) : !model.versions.empty();
    if (model.asked == 0 || !aside) {
      out.splice(out.end(), model.waiting, at);
    }
    at = next;
  }
  return out;
}

void SetAside::back(std::uint16_t device, const std::string& name, std::int64_t number) {
  Waiters moving;
  {
    const std::lock_guard lock(mutex_);
    const auto found = models_.find(name);
    if (found == models_.end()) {
      return;
    }
    Model& model = found->second;
    if (const auto version = model.versions.find(number); version != model.versions.end()) {
      version->second.devices &= ~only(device);
      if (version->second.devices == 0) {
        model.versions.erase(version);
      }
    }
    for (auto at = model.waiting.begin(); at != model.waiting.end();) {
      const auto next = std::next(at);
      if (at->call->request.version.value_or(number) == number) {
        moving.splice(moving.end(), model.waiting, at);
      }
      at = next;
    }
    model.failure.reset();
    moving.splice(moving.end(), leave(model));
    if (model.versions.empty()) {
      models_.erase(found);
    }
    removals_.fetch_add(1);
  }
  place_all(std::move(moving), ok_status());
}

void SetAside::end(std::uint16_t device, const std::string& name, const Status& why) {
  Waiters moving;
  {
    const std::lock_guard lock(mutex_);
    const auto found = models_.find(name);
    if (found == models_.end()) {
      return;
    }
    forget(found->second, device);
    moving = leave(found->second);
    if (found->second.versions.empty()) {
      models_.erase(found);
    }
    removals_.fetch_add(1);
  }
  place_all(std::move(moving), why);
}

void SetAside::failed(std::uint16_t device, const std::string& name, const Error& error) {
  Waiters told;
  {
    const std::lock_guard lock(mutex_);
    const auto found = models_.find(name);
    if (found == models_.end()) {
      return;
    }
    Model& model = found->second;
    model.asked &= ~only(device);
    if (model.asked != 0) {
      return;  // another device may have better news
    }
    model.failure = error;
    model.retry_at = now() + kRetryReturn;
    told = std::move(model.waiting);
    model.waiting.clear();
  }
  refuse_all(std::move(told), Error(error).with_retry_after(retry_after()), Failure::kModelGone);
}

void SetAside::lose(std::uint16_t device, const Error& why) {
  Waiters told;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = models_.begin(); at != models_.end();) {
      forget(at->second, device);
      told.splice(told.end(), leave(at->second));
      at = at->second.versions.empty() ? models_.erase(at) : std::next(at);
    }
    removals_.fetch_add(1);
  }
  refuse_all(std::move(told), why, Failure::kDevice);
}

std::shared_ptr<const model::Instance> SetAside::find(std::string_view model,
                                                      std::optional<std::int64_t> version) const {
  const std::lock_guard lock(mutex_);
  const Version* found = look_up(models_, model, version);
  return found == nullptr ? nullptr : found->served->instance;
}

std::vector<std::int64_t> SetAside::versions(std::string_view model) const {
  std::vector<std::int64_t> out;
  const std::lock_guard lock(mutex_);
  if (const auto found = models_.find(model); found != models_.end()) {
    for (const auto& [number, version] : found->second.versions) {
      out.push_back(number);
    }
  }
  return out;
}

std::vector<std::shared_ptr<const model::Instance>> SetAside::all() const {
  std::vector<std::shared_ptr<const model::Instance>> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, model] : models_) {
    for (const auto& [number, version] : model.versions) {
      out.push_back(version.served->instance);
    }
  }
  return out;
}

std::optional<SetAside::Lender> SetAside::lender(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const Version* found = look_up(models_, name, std::nullopt);
  if (found == nullptr) {
    return std::nullopt;
  }
  std::uint16_t device = 0;
  while ((found->devices & only(device)) == 0) {
    ++device;
  }
  return Lender{device, models_.find(name)->second.quota};
}

// ---- The requests that wait ----

SetAside::Waiter SetAside::waiter_of(std::shared_ptr<ServedInstance> served, const Ticket& ticket, TimePoint arrived) {
  const sched::ModelParams& params = served->instance->config.params;
  const sched::QueuePolicy& policy = sched::policy_of(params, sched::level_of(params, ticket.priority));
  const sched::Patience patience = sched::patience_of(params, policy, ticket.timeout);
  Waiter waiter;
  waiter.served = std::move(served);
  waiter.arrived = arrived;
  waiter.ends = add_saturating(arrived, patience.ends);
  waiter.ends_by_objective = patience.ends_by_objective;
  return waiter;
}

bool SetAside::take(std::shared_ptr<InferCall>& call, std::optional<TimePoint> accepted) {
  const std::string model = call->request.model;
  const std::optional<std::int64_t> version = call->request.version;
  Ticket checked;
  {
    const std::lock_guard lock(mutex_);
    const Version* found = look_up(models_, model, version);
    if (found == nullptr) {
      return false;
    }
    checked.served = found->served;
  }
  const std::shared_ptr<ModelCounters> counters = checked.served->counters;
  if (const Status admitted = admit(call->request, checked); !admitted.ok()) {
    counters->fail(Failure::kInvalid, Duration::zero(), false);
    call->done(admitted.error());
    return true;
  }
  const TimePoint stated = accepted.value_or(call->request.arrival);
  const TimePoint arrived = stated == TimePoint{} ? now() : stated;
  DeviceSet wanted = 0;
  Status refused;
  {
    const std::lock_guard lock(mutex_);
    if (look_up(models_, model, version) == nullptr) {
      return false;
    }
    refused = enter(models_.find(model)->second, waiter_of(checked.served, checked, arrived), call,
                    accepted.has_value(), wanted);
  }
  if (!refused.ok()) {
    counters->fail(Failure::kQueueFull, now() - arrived, true);
    call->done(refused.error());
    return true;
  }
  want(model, wanted);
  return true;
}

Status SetAside::enter(Model& model, Waiter waiter, std::shared_ptr<InferCall>& call, bool accepted,
                       DeviceSet& wanted) {
  if (closed_ || (refusing_ && !accepted)) {
    return stopping();
  }
  if (model.failure && now() < model.retry_at) {
    return Error(*model.failure).with_retry_after(retry_after());
  }
  if (model.waiting.size() >= kMaxWaitingForReturn) {
    return unavailable(std::to_string(kMaxWaitingForReturn) + " requests wait already for model '" +
                       waiter.served->instance->name + "', which is loaded again")
        .with_retry_after(retry_after());
  }
  waiter.call = std::move(call);
  waiter.served->counters->waits_for_return(true);
  unanswered_.fetch_add(1);
  taken_.fetch_add(1);
  const bool sooner = waiter.ends < timer_at_;
  model.waiting.push_back(std::move(waiter));
  if (sooner) {
    set_timer(model.waiting.back().ends);
  }
  if (model.asked == 0) {
    for (const auto& [number, version] : model.versions) {
      wanted |= version.devices;
    }
    model.asked = wanted;
  }
  return ok_status();
}

void SetAside::want(const std::string& model, DeviceSet devices) {
  for (std::uint16_t device = 0; device < kMaxDevices; ++device) {
    if ((devices & only(device)) == 0) {
      continue;
    }
    Want ask;
    {
      const std::lock_guard lock(mutex_);
      if (!closed_) {
        ask = want_;
        wanting_.fetch_add(ask ? 1 : 0);
      }
    }
    if (ask) {
      ask(device, model);
      wanting_.fetch_sub(1);
    } else {
      failed(device, model, stopping());
    }
  }
}

void SetAside::cancel(const InferCall& call) {
  if (unanswered_.load() == 0) {
    return;
  }
  Waiters told;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [name, model] : models_) {
      const auto at = std::find_if(model.waiting.begin(), model.waiting.end(),
                                   [&](const Waiter& waiter) { return waiter.call.get() == &call; });
      if (at != model.waiting.end()) {
        told.splice(told.end(), model.waiting, at);
        break;
      }
    }
  }
  refuse_all(std::move(told), Error(ErrorCode::kCancelled, "the request was cancelled"), Failure::kCancelled);
}

void SetAside::set_timer(TimePoint at) {
  timer_at_ = at;
  timer_->set(at);
}

void SetAside::expire() {
  Waiters late;
  {
    const std::lock_guard lock(mutex_);
    const TimePoint at = now();
    TimePoint next = kNever;
    for (auto& [name, model] : models_) {
      for (auto waiter = model.waiting.begin(); waiter != model.waiting.end();) {
        const auto following = std::next(waiter);
        if (waiter->ends <= at) {
          late.splice(late.end(), model.waiting, waiter);
        } else {
          next = std::min(next, waiter->ends);
        }
        waiter = following;
      }
    }
    set_timer(next);
  }
  for (Waiter& waiter : late) {
    if (waiter.ends_by_objective) {
      refuse(waiter, objective_error(*waiter.served->instance), Failure::kDeadline);
    } else {
      refuse(waiter, {ErrorCode::kDeadlineExceeded, "Request timeout expired"}, Failure::kTimeout);
    }
  }
}

void SetAside::place_all(Waiters waiters, const Status& otherwise) {
  auto waited = InferCall::Waited::kFirst;
  for (Waiter& waiter : waiters) {
    waiter.call->waited_ = std::exchange(waited, InferCall::Waited::kBehind);
    // What left again meanwhile is waited for again.
    if (place_(waiter.call, waiter.arrived) || take(waiter.call, waiter.arrived)) {
      leave_count(waiter);
    } else {
      refuse(waiter, otherwise.ok() ? unknown_model(waiter.served->instance->name) : otherwise.error(),
             Failure::kModelGone);
    }
  }
}

void SetAside::refuse_all(Waiters waiters, const Error& error, Failure failure) {
  for (Waiter& waiter : waiters) {
    refuse(waiter, error, failure);
  }
}

void SetAside::refuse(Waiter& waiter, Error error, Failure failure) {
  const bool missed = failure != Failure::kCancelled && failure != Failure::kModelGone;
  waiter.served->counters->fail(failure, now() - waiter.arrived, missed);
  waiter.call->done(std::move(error));
  leave_count(waiter);
}

void SetAside::leave_count(Waiter& waiter) {
  waiter.served->counters->waits_for_return(false);
  unanswered_.fetch_sub(1);
}

void SetAside::refuse_new() {
  const std::lock_guard lock(mutex_);
  refusing_ = true;
}

void SetAside::close() {
  Waiters told;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (auto& [name, model] : models_) {
      told.splice(told.end(), model.waiting);
    }
  }
  refuse_all(std::move(told), stopping(), Failure::kModelGone);
  while (wanting_.load() != 0) {
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace tessera::runtime
