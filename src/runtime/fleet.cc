#include "runtime/fleet.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "runtime/admission.h"
#include "runtime/poll.h"

namespace tessera::runtime {
Result<std::unique_ptr<Fleet>> Fleet::create(const ServingOptions& options,
                                             std::vector<std::unique_ptr<device::Device>> devices) {
  if (devices.empty() || devices.size() > kMaxDevices) {
    return invalid_argument("a server has one device at least and " + std::to_string(kMaxDevices) + " at most");
  }
  std::unique_ptr<Fleet> fleet(new Fleet(options));
  for (std::unique_ptr<device::Device>& device : devices) {
    TESSERA_ASSIGN_OR_RETURN(const std::size_t number,
                             fleet->add(std::move(device), options.policy, options.limits.max_homes));
    static_cast<void>(number);
  }
  return fleet;
}

Fleet::Fleet(const ServingOptions& options)
    : options_(options), aside_([this](std::shared_ptr<InferCall>& call, TimePoint arrived) {
        return alone() ? units_.front()->infer_if_known(call, arrived) : place(call, std::nullopt, arrived);
      }) {}

Result<std::size_t> Fleet::add(std::unique_ptr<device::Device>&& device, const std::string& policy,
                               std::size_t max_homes) {
  if (draining_.load()) {
    return unavailable("the server is stopping");
  }
  if (units_.size() == units_.capacity()) {
    return Error(ErrorCode::kResourceExhausted,
                 "a server has " + std::to_string(units_.capacity()) + " devices at most");
  }
  ServingOptions own = options_;
  own.policy = policy;
  own.limits.max_homes = std::min(own.limits.max_homes, max_homes);
  own.number = static_cast<std::uint16_t>(units_.size());
  own.routes = &routes_;
  own.neighbours = neighbours_of(own.number);
  own.aside = &aside_;
  TESSERA_ASSIGN_OR_RETURN(auto unit, Serving::create(std::move(own), std::move(device)));
  const std::size_t number = units_.push_back(std::move(unit));
  for (std::size_t i = 0; i <= number && number > 0; ++i) {
    routes_.load(static_cast<std::uint16_t>(i)).is_read.store(true, std::memory_order_relaxed);
  }
  if (draining_.load()) {  // which went through the others
    units_[number]->refuse_new();
  }
  return number;
}

Fleet::~Fleet() {
  closing_.store(true);
  aside_.close();
  while (transfers_.load() != 0) {
    std::this_thread::sleep_for(kPoll);
  }
}

Neighbours Fleet::neighbours_of(std::uint16_t number) {
  Neighbours out;
  out.load = &routes_.load(number);
  out.take_over = [this](std::shared_ptr<InferCall>& call, TimePoint accepted) { return take_over(call, accepted); };
  out.on_down = [this, number] { lost(number); };
  out.on_stuck = [this, number](const ServedInstance& served) { stuck(number, served); };
  return out;
}

void Fleet::infer(std::shared_ptr<InferCall> call) {
  call->waited_ = InferCall::Waited::kNot;
  if (place_or_wait(call)) {
    return;
  }
  const InferRequest& request = call->request;
  if (draining_.load()) {
    call->done(unavailable("the server is stopping"));
  } else if (const auto stuck = routes_.stuck(request.model, request.version)) {
    call->done(*stuck);
  } else if (routes_.choose(request.model, request.version).known) {
    call->done(Error(ErrorCode::kDeviceLost, "no device that serves model '" + request.model + "' is up"));
  } else {
    call->done(unknown_model(request.model));
  }
}

bool Fleet::place_or_wait(std::shared_ptr<InferCall>& call) {
  const std::optional<std::uint16_t> preferred = call->request.device;
  std::uint64_t removals = 0;
  do {
    removals = aside_.removals();
    if (alone() ? units_.front()->infer_if_known(call) : place(call, preferred, std::nullopt)) {
      return true;
    }
    if (aside_.take(call, std::nullopt)) {
      return true;
    }
  } while (aside_.removals() != removals);
  return false;
}

bool Fleet::place(std::shared_ptr<InferCall>& call, std::optional<std::uint16_t> preferred,
                  std::optional<TimePoint> accepted, DeviceSet tried) {
  const std::string& model = call->request.model;
  const std::optional<std::int64_t> version = call->request.version;
  if (preferred && *preferred < units_.size() && routes_.serves(*preferred, model, version)) {
    if (units_[*preferred]->infer_if_known(call, accepted)) {
      return true;
    }
    tried |= only(*preferred);
  }
  // A device that has let go of the model meanwhile is not asked again.
  for (;;) {
    const auto choice = routes_.choose(model, version, tried);
    if (!choice.device) {
      return false;
    }
    if (units_[*choice.device]->infer_if_known(call, accepted)) {
      return true;
    }
    tried |= only(*choice.device);
  }
}

bool Fleet::take_over(std::shared_ptr<InferCall>& call, TimePoint accepted) {
  transfers_begun_.fetch_add(1);
  transfers_.fetch_add(1);
  bool placed = false;
  if (!closing_.load()) {
    const DeviceSet own = only(call->device_.load());  // where a batch does not end it may serve on, but not this one
    call->ticket_.store(0);
    placed = place(call, std::nullopt, accepted, own);
  }
  transfers_.fetch_sub(1);
  return placed;
}

void Fleet::cancel(const InferCall& call) {
  // The two belong together where the ticket did not change in between.
  for (;;) {
    const std::uint64_t ticket = call.ticket_.load();
    if (ticket == 0) {
      aside_.cancel(call);
      return;
    }
    const std::uint16_t device = call.device_.load();
    if (call.ticket_.load() == ticket) {
      units_[device]->cancel(RequestId{ticket});
      return;
    }
  }
}

Result<std::shared_ptr<BodyMemory>> Fleet::lease_body(std::string_view model, Bytes size) {
  for (;;) {
    const std::uint64_t removals = aside_.removals();
    auto body = lease_from_devices(model, size);
    if (body.ok() || (body.error().code() != ErrorCode::kNotFound && body.error().code() != ErrorCode::kDeviceLost)) {
      return body;
    }
    if (auto lender = aside_.lender(model)) {
      TESSERA_ASSIGN_OR_RETURN(
          auto lent, runtime::lease_body(units_[lender->device]->staging(), std::move(lender->quota), model, size));
      lent->device = lender->device;
      return lent;
    }
    if (aside_.removals() == removals) {
      return body;
    }
  }
}

Result<std::shared_ptr<BodyMemory>> Fleet::lease_from_devices(std::string_view model, Bytes size) {
  if (alone()) {
    return units_.front()->lease_body(model, size);
  }
  DeviceSet tried = 0;
  for (;;) {
    const auto choice = routes_.choose(model, std::nullopt, tried);
    if (!choice.known) {
      return unknown_model(model);
    }
    if (const auto stuck = choice.device ? nullptr : routes_.stuck(model, std::nullopt)) {
      return *stuck;
    }
    if (!choice.device) {
      return Error(ErrorCode::kDeviceLost, "no device that serves model '" + std::string(model) + "' is up");
    }
    auto body = units_[*choice.device]->lease_body(model, size);
    if (body.ok()) {
      (*body)->device = *choice.device;
      return body;
    }
    // What one device cannot give now another may.
    const ErrorCode code = body.error().code();
    tried |= only(*choice.device);
    const bool elsewhere =
        code == ErrorCode::kNotFound || code == ErrorCode::kResourceExhausted || code == ErrorCode::kOutOfMemory;
    if (!elsewhere || !routes_.choose(model, std::nullopt, tried).device) {
      return body;
    }
  }
}

Result<std::shared_ptr<const model::Instance>> Fleet::find(std::string_view model,
                                                           std::optional<std::int64_t> version) const {
  for (;;) {
    const std::uint64_t removals = aside_.removals();
    auto found = find_on_devices(model, version);
    if (found.ok() || found.error().code() != ErrorCode::kNotFound) {
      return found;
    }
    if (auto aside = aside_.find(model, version)) {
      return aside;
    }
    if (aside_.removals() == removals) {
      return found;
    }
  }
}

Result<std::shared_ptr<const model::Instance>> Fleet::find_on_devices(std::string_view model,
                                                                      std::optional<std::int64_t> version) const {
  if (alone()) {
    return units_.front()->find(model, version);
  }
  auto found = routes_.find(model, version);
  if (!found) {
    return unknown_model(model);
  }
  if (const auto stuck = routes_.stuck(model, version)) {
    return *stuck;
  }
  return found;
}

// What is set aside is looked at first: it is put there before it ceases to serve. Where it returns in between, it is
// found twice.
std::vector<std::int64_t> Fleet::versions(std::string_view model) const {
  std::vector<std::int64_t> out = aside_.versions(model);
  const auto served = alone() ? units_.front()->versions(model) : routes_.versions(model);
  out.insert(out.end(), served.begin(), served.end());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::vector<std::shared_ptr<const model::Instance>> Fleet::serving() const {
  const auto aside = aside_.all();
  auto out = alone() ? units_.front()->serving() : routes_.all();
  for (const auto& instance : aside) {
    const auto same = [&](const auto& other) {
      return other->name == instance->name && other->version == instance->version;
    };
    if (std::none_of(out.begin(), out.end(), same)) {
      out.push_back(instance);
    }
  }
  return out;
}

bool Fleet::any_up() const {
  return std::any_of(units_.begin(), units_.end(), [](const auto& unit) { return !unit->is_down(); });
}

std::uint64_t Fleet::unanswered() const {
  std::uint64_t sum = 0;
  for (const auto& unit : units_) {
    sum += unit->statistics().unanswered();
  }
  return sum;
}

bool Fleet::refuse_new() {
  draining_.store(true);
  aside_.refuse_new();
  for (const auto& unit : units_) {
    unit->refuse_new();
  }
  return aside_.unanswered() != 0;
}

void Fleet::abandon() {
  aside_.close();
  for (const auto& unit : units_) {
    unit->abandon();
  }
}

bool Fleet::drain(std::chrono::milliseconds limit) {
  static_cast<void>(refuse_new());
  const TimePoint end = add_saturating(now(), limit);
  for (;;) {
    // A request that moved while they were counted may have been missed by both.
    const std::uint64_t before = transfers_begun_.load() + aside_.taken();
    const std::uint64_t left = aside_.unanswered() + unanswered();
    if (left == 0 && transfers_.load() == 0 && transfers_begun_.load() + aside_.taken() == before) {
      return true;
    }
    if (now() >= end) {
      return false;
    }
    std::this_thread::sleep_for(kPoll);
  }
}

std::vector<ModelStatistics> Fleet::statistics() const {
  std::vector<ModelStatistics> all;
  for (const auto& unit : units_) {
    auto own = unit->statistics().all();
    all.insert(all.end(), std::make_move_iterator(own.begin()), std::make_move_iterator(own.end()));
  }
  return merged(std::move(all));
}

std::vector<DeviceStatistics> Fleet::device_statistics() const {
  std::vector<DeviceStatistics> out;
  for (const auto& unit : units_) {
    out.push_back(unit->device_statistics());
  }
  return out;
}

void Fleet::lost(std::uint16_t number) {
  aside_.lose(number, {ErrorCode::kDeviceLost, "the device that was to load the model again is down"});
  const std::lock_guard lock(loss_);
  if (told_.lost) {
    told_.lost(number);
  } else {
    untold_.push_back(number);
  }
}

// Before anybody wants to know there is no model. Looks at what holds now: two calls may come in either order.
void Fleet::stuck(std::uint16_t number, const ServedInstance& served) {
  const std::lock_guard lock(loss_);
  if (told_.stuck) {
    const bool stuck = served.stuck.load(std::memory_order_acquire);
    told_.stuck(number, *served.instance, stuck ? served.stuck_with.get() : nullptr);
  }
}

void Fleet::on_faults(Faults told) {
  const std::lock_guard lock(loss_);
  told_ = std::move(told);
  if (!told_.lost) {
    return;
  }
  for (const std::size_t number : std::exchange(untold_, {})) {
    told_.lost(number);
  }
}

}  // namespace tessera::runtime
