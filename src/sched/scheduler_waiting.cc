// What arrives and waits: admission, deadlines, queues, and the moments at which a wait ends.
#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"
#include "sched/patience.h"
#include "sched/scheduler_state.h"

namespace tessera::sched {
namespace {

constexpr std::size_t kShapesKept = 64;  // empty queues, with what was learned of their shapes, an instance
constexpr Duration kPause = std::chrono::seconds(1);

}  // namespace

void Scheduler::State::handle(const Arrival& event) {
  Instance* instance = find(event.instance);
  const auto refuse = [&](RejectReason reason) { out_->push_back(Reject{event.request, reason, Duration{0}}); };
  if (down_) {
    refuse(RejectReason::kDeviceDown);
    return;
  }
  if (instance == nullptr || instance->draining) {
    refuse(RejectReason::kModelGone);
    return;
  }
  if (instance->stuck > 0 || all_lost_) {
    refuse(RejectReason::kStuck);
    return;
  }
  TESSERA_CHECK(event.rows > 0 && event.rows <= instance->request_rows());
  if (instance->buckets_end && event.rows > instance->max_rows()) {
    refuse(RejectReason::kTooManyRows);
    return;
  }
  if (is_hopeless_at_once(*instance)) {
    instance->rate.add(event.rows, now_);
    out_->push_back(Reject{event.request, RejectReason::kDeadline, instance->try_again_at - now_});
    return;
  }
  const std::uint32_t level = level_of(*instance->params, event.priority);
  const QueuePolicy& policy = policy_of(*instance->params, level);
  const bool level_full = policy.max_queue_size > 0 && instance->waiting_by_level[level] >= policy.max_queue_size;
  if (requests_.size() >= limits_.max_waiting || level_full) {
    refuse(RejectReason::kQueueFull);
    return;
  }
  admit(event, *instance, policy, level);
}

bool Scheduler::State::is_hopeless_at_once(Instance& instance) const {
  if (!instance.is_refused()) {
    return false;
  }
  const bool first = instance.try_again_at == TimePoint::min();
  const bool tries = !first && now_ >= instance.try_again_at;
  if (first || tries) {
    instance.try_again_at = now_ + kTryAgain;
  }
  return !tries;
}

void Scheduler::State::admit(const Arrival& event, Instance& instance, const QueuePolicy& policy, std::uint32_t level) {
  const auto [at, fresh] = requests_.try_emplace(event.request);
  TESSERA_CHECK(fresh);
  Request& request = at->second;
  request.arrival = event;
  request.instance = &instance;
  request.level = level;
  request.sequence = next_sequence_++;
  set_times(request, policy);
  moments_.update(request);
  request.processor_ns = instance.table.processor_ns_per_row() * event.rows;
  waiting_work(request) += request.processor_ns;
  ++instance.waiting;
  ++instance.waiting_by_level[level];
  instance.rows_arrived += static_cast<std::uint64_t>(event.rows);
  instance.rate.add(event.rows, now_);
  const bool paused = instance.last_arrival == TimePoint::min() || now_ - instance.last_arrival > kPause;
  view_.use_version += paused ? 1 : 0;
  instance.last_arrival = now_;
  if (event.rows > instance.max_rows()) {
    request.parked = true;
    instance.parked.push_back(&request);
  } else if (event.input_ready) {
    enqueue(request);
  }
}

void Scheduler::State::set_times(Request& request, const QueuePolicy& policy) const {
  const TimePoint arrival = request.arrival.arrival;
  if (policy.timeout_action == TimeoutAction::kDelay) {
    request.delays = add_saturating(arrival, policy.default_timeout);
  }
  const Patience patience = patience_of(*request.instance->params, policy, request.arrival.timeout);
  request.deadline = add_saturating(arrival, patience.deadline);
  request.ends = add_saturating(arrival, patience.ends);
  request.ends_with = patience.ends_by_objective ? RejectReason::kDeadline : RejectReason::kTimeout;
}

// Requests that outstayed a queue policy that delays stay behind the others.
void Scheduler::State::set_times_anew(Request& request) {
  const bool queued = request.queue != nullptr;
  if (queued) {
    dequeue(request);
  }
  set_times(request, policy_of(*request.instance->params, request.level));
  if (request.delayed) {
    request.delays = kNever;
  }
  moments_.update(request);
  if (queued) {
    enqueue(request);
  }
}

void Scheduler::State::handle(const ParamsChanged& event) {
  Instance* instance = find(event.instance);
  if (instance == nullptr) {
    return;
  }
  const std::vector<Request*> waiting = waiting_of(instance);
  for (const Request* request : waiting) {
    waiting_work(*request) -= request->processor_ns;
  }
  auto changed = std::make_shared<ModelParams>(*instance->params);
  static_cast<LiveParams&>(*changed) = event.params;
  instance->params = std::move(changed);
  instance->try_again_at = TimePoint::min();
  for (Request* request : waiting) {
    waiting_work(*request) += request->processor_ns;
    set_times_anew(*request);
  }
  // What policies keep of the model by its objective and shares is stale.
  note_instances();
  all_in_advance_ = false;
}

void Scheduler::State::handle(const InputReady& event) {
  const auto found = requests_.find(event.request);
  if (found == requests_.end() || found->second.queue != nullptr) {
    return;
  }
  found->second.arrival.input_ready = true;
  if (!found->second.parked) {
    enqueue(found->second);
  }
}

void Scheduler::State::handle(const Cancelled& event) {
  const auto found = requests_.find(event.request);
  if (found != requests_.end()) {
    forget(found->second);
  }
}

void Scheduler::State::enqueue(Request& request) {
  Instance& instance = *request.instance;
  std::unique_ptr<ShapeQueue>& queue = instance.queues[request.arrival.shape];
  if (!queue) {
    queue = std::make_unique<ShapeQueue>(instance, request.arrival.shape, next_serial_++, memory_);
    queue->guess_factor(instance.mean_factor);
    queue->slot = view_.take_slot();
  }
  queue->add(request);
  if (queue->active_index == 0) {
    view_.active.push_back(queue.get());
    queue->active_index = view_.active.size();
  }
}

void Scheduler::State::dequeue(Request& request) {
  ShapeQueue& queue = *request.queue;
  queue.remove(request);
  if (!queue.empty()) {
    return;
  }
  ShapeQueue* last = view_.active.back();
  view_.active[queue.active_index - 1] = last;
  last->active_index = queue.active_index;
  view_.active.pop_back();
  queue.active_index = 0;
  if (queue.instance().queues.size() > kShapesKept) {
    view_.give_slot(queue.slot);
    queue.instance().queues.erase(ShapeId(queue.shape()));
  }
}

void Scheduler::State::forget(Request& request) {
  if (request.queue != nullptr) {
    dequeue(request);
  }
  if (request.parked) {
    std::erase(request.instance->parked, &request);
  }
  moments_.remove(request);
  waiting_work(request) -= request.processor_ns;
  Instance& instance = *request.instance;
  --instance.waiting;
  --instance.waiting_by_level[request.level];
  requests_.erase(RequestId(request.arrival.request));
  if (requests_.empty()) {  // what rounding left does not add up
    objectives_processor_ns_ = others_processor_ns_ = 0;
  }
}

double& Scheduler::State::waiting_work(const Request& request) {
  return request.instance->params->slo ? objectives_processor_ns_ : others_processor_ns_;
}

void Scheduler::State::reject(Request& request, RejectReason reason) {
  const bool again = reason == RejectReason::kDeadline;
  request.instance->rows_given_up += static_cast<std::uint64_t>(request.arrival.rows);
  request.instance->note_fate(false);
  out_->push_back(Reject{request.arrival.request, reason, again ? retry_after(request) : Duration{0}});
  forget(request);
}

// In the order in which they came; nullptr: those of all instances.
std::vector<Request*> Scheduler::State::waiting_of(const Instance* instance) {
  std::vector<Request*> waiting;
  waiting.reserve(requests_.size());
  for (auto& [id, request] : requests_) {
    if (instance == nullptr || request.instance == instance) {
      waiting.push_back(&request);
    }
  }
  std::sort(waiting.begin(), waiting.end(),
            [](const Request* a, const Request* b) { return a->sequence < b->sequence; });
  return waiting;
}

void Scheduler::State::reject_all(const Instance* instance, RejectReason reason) {
  for (Request* request : waiting_of(instance)) {
    reject(*request, reason);
  }
}

// Until the first slice is free and what waits of this model now has run: rough, but it grows with the queue.
Duration Scheduler::State::retry_after(const Request& request) const {
  const Instance& instance = *request.instance;
  if (!instance.table.known()) {
    return Duration{0};
  }
  TimePoint free_at = kNever;
  for (std::size_t slice = 0; slice < view_.device.slices().size(); ++slice) {
    free_at = std::min(free_at, view_.device.start_on(slice, now_));
  }
  const auto batches = static_cast<std::int64_t>(instance.waiting) / instance.max_rows() + 1;
  return (free_at - now_) + instance.table.fastest(instance.params->buckets.size() - 1) * batches;
}

void Scheduler::State::end_waits() {
  while (moments_.earliest() <= now_) {
    Request& request = moments_.top();
    if (request.ends <= now_) {
      reject(request, request.ends_with);
      continue;
    }
    // It stays, behind all that have not waited as long.
    request.delays = kNever;
    const bool queued = request.queue != nullptr;
    if (queued) {
      dequeue(request);
    }
    request.delayed = true;
    moments_.update(request);
    if (queued) {
      enqueue(request);
    }
  }
}

}  // namespace tessera::sched
