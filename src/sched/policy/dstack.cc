// D-STACK: every model runs at its knee, packed in space and time within a session; what is left is used as it comes.
//
// A. Dhakal, S. G. Kulkarni, K. K. Ramakrishnan: D-STACK: High Throughput DNN Inference by Effective Multiplexing and
// Spatio-Temporal Scheduling of GPUs, IEEE Transactions on Cloud Computing 12(4), 2024 (arXiv:2304.13541, 2023).
// - The knee of a model is the batch and share of largest efficacy, batch / (latency^2 * share), among those with
//   assembly time + latency <= SLO.
// - A session is as long as the longest SLO. In it every model has a run in each of its SLO intervals (session_plan.h).
// - What the plan leaves free, or nobody uses at its time, goes to whoever was served least over the last sessions and
//   ends before the next planned run there begins.
// How this is read where it leaves a choice: docs/decisions/061-dstack-between-its-planned-runs.md.
#include <algorithm>
#include <array>
#include <tuple>

#include "sched/batching.h"
#include "sched/efficacy.h"
#include "sched/ladder_sizes.h"
#include "sched/policy/registry.h"
#include "sched/session_plan.h"

namespace tessera::sched {
namespace {

constexpr std::size_t kSessionsServed = 10;            // over which served time is added up
constexpr Duration kUnused = std::chrono::seconds(1);  // a model without requests for so long has no place in the plan
constexpr Duration kSessionWithoutSlo = std::chrono::milliseconds(100);
constexpr Duration kLongestSession = std::chrono::seconds(1);
constexpr Duration kShortestSession = std::chrono::milliseconds(1);
constexpr double kMostRuns = 16;    // of one model in an SLO interval
constexpr double kSaturated = 2.0;  // full batches that wait for each model from which on all of a session is planned
constexpr std::size_t kTries = 8;   // models looked at in one decision

// Owned by the scheduler.
class Dstack final : public Policy {
 public:
  std::string_view name() const override { return "dstack"; }
  void decide(const View& view, TimePoint now, Decisions& out) override;

 private:
  struct Tenant {
    InstanceId id;
    const Instance* instance = nullptr;
    std::size_t bucket = 0;  // the knee
    std::uint16_t size = 1;
    bool homes_wanted = false;
    double expected = 0;                           // requests since its last planned run
    std::array<double, kSessionsServed> served{};  // seconds of its runs, by session
    double served_lately = 0;
  };

  static double batch_of(const Tenant& tenant) {
    return std::min(tenant.instance->params->buckets[tenant.bucket], tenant.instance->max_rows());
  }

  void follow_instances(const View& view, Decisions& out);
  Tenant& tenant_of(const Instance& instance) { return tenants_[by_index_[instance.index]]; }
  void begin_session(const View& view, TimePoint now, Decisions& out);
  void want_homes(const View& view, const Tenant& tenant, Decisions& out) const;
  void find_knee(const View& view, Tenant& tenant, TimePoint now) const;
  Duration next_run(const View& view, const ShapeQueue& queue);
  bool turn_away(const View& view, TimePoint now, Decisions& out);
  const ShapeQueue* ready(const Tenant& tenant) const;
  bool run_planned(const View& view, TimePoint now, Decisions& out);
  std::size_t reserve(const View& view, const PlannedRun& run);
  void run_spare(const View& view, TimePoint now, Decisions& out);
  bool run_spare(const View& view, const ShapeQueue& queue, TimePoint now, Decisions& out);
  void stand_for_planned(const BatchDecision& decision, const ShapeQueue& queue, TimePoint now);
  std::optional<std::size_t> free_slice(const View& view, const ShapeQueue& queue, std::size_t bucket,
                                        std::uint16_t size, TimePoint deadline, TimePoint now, Decisions& out) const;
  bool launch(const View& view, const ShapeQueue& queue, std::int32_t rows, std::size_t slice, Decisions& out);

  std::optional<LadderSizes> sizes_;
  std::uint64_t instances_version_ = 0;
  std::vector<Tenant> tenants_;        // by id
  std::vector<std::size_t> by_index_;  // place in tenants_ by Instance::index
  std::size_t session_ = 0;
  TimePoint session_ends_ = TimePoint::min();
  SessionPlan plan_;
  std::vector<SessionPlan::Job> jobs_;
  std::vector<TimePoint> reserved_;  // by atom: when the next planned run begins there
  std::vector<std::pair<double, const ShapeQueue*>> order_;
};

void Dstack::decide(const View& view, TimePoint now, Decisions& out) {
  follow_instances(view, out);
  if (view.active.empty()) {
    return;
  }
  if (now >= session_ends_) {
    begin_session(view, now, out);
  }
  if (turn_away(view, now, out)) {
    return;
  }
  if (!run_planned(view, now, out)) {
    run_spare(view, now, out);
  }
  out.wake_up = std::min(out.wake_up, session_ends_);
}

void Dstack::follow_instances(const View& view, Decisions& out) {
  if (instances_version_ == view.instances_version) {
    return;
  }
  instances_version_ = view.instances_version;
  const bool the_same = tenants_.size() == view.instances.size() &&
                        std::all_of(view.instances.begin(), view.instances.end(),
                                    [this](const auto& instance) { return tenant_of(*instance).id == instance->id; });
  if (the_same) {
    return;  // only predictions were read anew: the next session heeds them
  }
  if (!sizes_) {
    sizes_.emplace(view.device);
  }
  const std::vector<Tenant> before = std::move(tenants_);
  tenants_.clear();
  for (const auto& instance : view.instances) {
    const auto known =
        std::find_if(before.begin(), before.end(), [&](const Tenant& tenant) { return tenant.id == instance->id; });
    Tenant& tenant = tenants_.emplace_back(known == before.end() ? Tenant{} : *known);
    tenant.id = instance->id;
    tenant.instance = instance.get();
    out.wanted_homes.push_back({instance->id, view.device.shape().whole()});
  }
  std::sort(tenants_.begin(), tenants_.end(), [](const Tenant& a, const Tenant& b) { return a.id < b.id; });
  by_index_.resize(tenants_.size());
  for (std::size_t i = 0; i < tenants_.size(); ++i) {
    by_index_[tenants_[i].instance->index] = i;
  }
  plan_.runs().clear();
  session_ends_ = TimePoint::min();
}

void Dstack::begin_session(const View& view, TimePoint now, Decisions& out) {
  ++session_;
  Duration longest{0};
  double batches_waiting = 0;
  double models = 0;
  const auto planned = [&](const Tenant& tenant) {
    const Instance& instance = *tenant.instance;
    return instance.params->slo && instance.table.known() && instance.last_arrival != TimePoint::min() &&
           now - instance.last_arrival < kUnused;
  };
  for (Tenant& tenant : tenants_) {
    double& oldest = tenant.served[session_ % kSessionsServed];
    tenant.served_lately -= oldest;
    oldest = 0;
    if (tenant.instance->table.known()) {
      const std::uint16_t before = tenant.size;
      find_knee(view, tenant, now);
      if (tenant.size != before || !tenant.homes_wanted) {
        want_homes(view, tenant, out);
        tenant.homes_wanted = true;
      }
    }
    if (planned(tenant)) {
      longest = std::max(longest, *tenant.instance->params->slo);
      batches_waiting += static_cast<double>(tenant.instance->waiting) / batch_of(tenant);
      models += 1;
    }
  }
  longest = longest == Duration{0} ? kSessionWithoutSlo : longest;
  session_ends_ = now + std::clamp(longest, kShortestSession, kLongestSession);
  const bool saturated = batches_waiting >= kSaturated * models;
  jobs_.clear();
  for (std::size_t i = 0; i < tenants_.size(); ++i) {
    Tenant& tenant = tenants_[i];
    if (!planned(tenant)) {
      continue;
    }
    const double rate = tenant.instance->rate.per_second(now);
    const Duration slo = *tenant.instance->params->slo;
    const Duration run = tenant.instance->table.at(tenant.bucket, sizes_->group(tenant.size));
    TimePoint release = now;
    const double rows = batch_of(tenant);
    const auto& only = tenant.instance->only_slice;
    const std::span<const std::size_t> slices = only ? std::span(&*only, 1) : sizes_->slices(tenant.size);
    for (; release < session_ends_; release += slo) {
      tenant.expected += rate * std::chrono::duration<double>(slo).count();
      if (tenant.expected < 1.0) {
        continue;
      }
      const auto runs = saturated ? static_cast<int>(std::clamp(tenant.expected / rows, 1.0, kMostRuns)) : 1;
      tenant.expected = saturated ? std::clamp(tenant.expected - runs * rows, 0.0, rows) : 0.0;
      // Apart by equal times where runs are short enough for that.
      const Duration step = slo / runs > run ? slo / runs : Duration{0};
      for (int n = 0; n < runs; ++n) {
        const TimePoint from = release + step * n;
        const TimePoint until = std::min(release + (step > Duration{0} ? step * (n + 1) : slo), session_ends_);
        jobs_.push_back({i, tenant.served_lately, from, until, run, slices});
      }
    }
  }
  plan_.make(view.device, jobs_, now, session_ends_);
}

// What it may run in: slices of its knee's size and, where these are taken, smaller ones.
void Dstack::want_homes(const View& view, const Tenant& tenant, Decisions& out) const {
  for (const std::uint16_t size : sizes_->all()) {
    for (const std::size_t index : sizes_->slices(size)) {
      if (size <= tenant.size) {
        out.wanted_homes.push_back({tenant.id, view.device.slice(index).slice});
      }
    }
  }
}

void Dstack::find_knee(const View& view, Tenant& tenant, TimePoint now) const {
  const Instance& instance = *tenant.instance;
  const ModelParams& params = *instance.params;
  const KneeLimits limits{params.slo.value_or(kForever), std::max(1e-3, instance.rate.per_second(now))};
  tenant.bucket = 0;
  // Where nothing meets the SLO, this comes closest.
  tenant.size = instance.only_slice ? view.device.slice(*instance.only_slice).slice.count : sizes_->all().back();
  double best = 0;
  for (std::size_t bucket = 0; bucket < (params.dynamic_batching ? params.buckets.size() : 1); ++bucket) {
    const double rows = std::min(params.buckets[bucket], instance.max_rows());
    for (const std::uint16_t size : sizes_->all()) {
      const std::size_t group = sizes_->group(size);
      if (!instance.groups.contains(group)) {
        continue;
      }
      const Duration latency = instance.table.at(bucket, group);
      const double here = efficacy(rows, latency, view.device.group_processors(group));
      if (limits.keeps(rows, latency) && here > best) {
        best = here;
        tenant.bucket = bucket;
        tenant.size = size;
      }
    }
  }
}

// Of the run that the head would be in: what waits, up to the knee's batch, in a slice of the knee's size.
Duration Dstack::next_run(const View& view, const ShapeQueue& queue) {
  const Instance& instance = queue.instance();
  const Tenant& tenant = tenant_of(instance);
  const std::size_t most = instance.bucket_for(queue.rows());
  const std::size_t bucket = std::max(instance.bucket_for(queue.head().arrival.rows), std::min(most, tenant.bucket));
  return view.predicted(queue, bucket, sizes_->group(tenant.size));
}

bool Dstack::turn_away(const View& view, TimePoint now, Decisions& out) {
  for (const ShapeQueue* queue : view.active) {
    const Request& head = queue->head();
    if (head.deadline == kNever || !may_reject_early(*queue, now)) {
      continue;
    }
    const TimePoint too_late = head.deadline - next_run(view, *queue) + Duration{1};
    if (too_late <= now) {
      out.hopeless.push_back(head.arrival.request);
    } else {
      out.wake_up = std::min(out.wake_up, too_late);
    }
  }
  return !out.hopeless.empty();
}

// The queue of a model that could be launched now.
const ShapeQueue* Dstack::ready(const Tenant& tenant) const {
  if (tenant.instance->waiting == 0 || !tenant.instance->any_free_lane()) {
    return nullptr;
  }
  for (const auto& [shape, queue] : tenant.instance->queues) {
    if (!queue->empty() && leads_its_instance(*queue)) {
      return queue.get();
    }
  }
  return nullptr;
}

// Launches a planned run whose time has come, or finds out what is reserved for those to come.
bool Dstack::run_planned(const View& view, TimePoint now, Decisions& out) {
  reserved_.assign(view.device.shape().atoms(), kNever);
  std::vector<PlannedRun>& runs = plan_.runs();
  std::size_t unreserved = reserved_.size();
  for (std::size_t i = 0; i < runs.size() && unreserved > 0;) {
    const PlannedRun run = runs[i];
    if (run.start > now) {
      out.wake_up = std::min(out.wake_up, run.start);
      unreserved -= reserve(view, run);
      ++i;
      continue;
    }
    const Tenant& tenant = tenants_[run.tenant];
    const ShapeQueue* queue = ready(tenant);
    if (run.latest < now) {
      runs.erase(runs.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    if (queue != nullptr && tenant.instance->homes.lazy()) {
      out.wanted_homes.push_back({tenant.id, view.device.slice(run.slice).slice, tenant.bucket});
    }
    const auto slice = queue == nullptr ? std::nullopt : usable_slice(view, *tenant.instance, run.slice);
    if (slice && view.launchable(*slice, now) &&
        launch(view, *queue, tenant.instance->params->buckets[tenant.bucket], *slice, out)) {
      runs.erase(runs.begin() + static_cast<std::ptrdiff_t>(i));
      return true;
    }
    unreserved -= queue != nullptr ? reserve(view, run) : 0;
    ++i;
  }
  return false;
}

// Runs come by start. Returns how many atoms had none before.
std::size_t Dstack::reserve(const View& view, const PlannedRun& run) {
  const Slice slice = view.device.slice(run.slice).slice;
  std::size_t fresh = 0;
  for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
    fresh += reserved_[atom] == kNever ? 1 : 0;
    reserved_[atom] = std::min(reserved_[atom], run.start);
  }
  return fresh;
}

void Dstack::run_spare(const View& view, TimePoint now, Decisions& out) {
  order_.clear();
  if (view.device.idle_atoms() == 0 && view.device.depth() == 1) {
    return;
  }
  for (const ShapeQueue* queue : view.active) {
    if (queue->instance().any_free_lane() && leads_its_instance(*queue)) {
      order_.emplace_back(tenant_of(queue->instance()).served_lately, queue);
    }
  }
  const auto by_service = [](const auto& a, const auto& b) {
    const Request& first = a.second->head();
    const Request& second = b.second->head();
    return std::tuple(a.first, first.deadline, first.sequence) < std::tuple(b.first, second.deadline, second.sequence);
  };
  const std::size_t tries = std::min(kTries, order_.size());
  std::partial_sort(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(tries), order_.end(), by_service);
  for (std::size_t i = 0; i < tries; ++i) {
    if (run_spare(view, *order_[i].second, now, out)) {
      stand_for_planned(out.launches.back(), *order_[i].second, now);
      return;
    }
  }
}

// A run that took as much as the planned one of this SLO interval would have taken was that one, only earlier: what was
// reserved for it is free.
void Dstack::stand_for_planned(const BatchDecision& decision, const ShapeQueue& queue, TimePoint now) {
  const Tenant& tenant = tenant_of(queue.instance());
  const bool all = static_cast<std::size_t>(decision.requests) == queue.size();
  if (!all && decision.bucket < queue.instance().params->buckets[tenant.bucket]) {
    return;
  }
  const auto number = static_cast<std::size_t>(&tenant - tenants_.data());
  std::vector<PlannedRun>& runs = plan_.runs();
  const auto planned = std::find_if(runs.begin(), runs.end(),
                                    [&](const PlannedRun& run) { return run.tenant == number && run.release <= now; });
  if (planned != runs.end()) {
    runs.erase(planned);
  }
}

// The largest part of what waits that ends in time: for the plan always, for its own deadline
// where that can be met at all. A smaller share than the knee will do where the knee's is not free.
bool Dstack::run_spare(const View& view, const ShapeQueue& queue, TimePoint now, Decisions& out) {
  const Instance& instance = queue.instance();
  const Tenant& tenant = tenant_of(instance);
  const auto& buckets = instance.params->buckets;
  if (!instance.table.known()) {
    for (auto size = sizes_->all().rbegin(); size != sizes_->all().rend(); ++size) {
      const auto slice = free_slice(view, queue, 0, *size, kNever, now, out);
      if (slice && launch(view, queue, instance.max_rows(), *slice, out)) {
        return true;
      }
    }
    return false;
  }
  const std::size_t least = instance.bucket_for(queue.head().arrival.rows);
  const std::size_t most = std::max(least, instance.bucket_for(take(queue, instance.max_rows()).rows));
  const TimePoint deadline =
      add_saturating(now, next_run(view, queue)) > queue.head().deadline ? kNever : queue.head().deadline;
  for (std::size_t bucket = most + 1; bucket-- > least;) {
    for (auto size = sizes_->all().rbegin(); size != sizes_->all().rend(); ++size) {
      const auto slice =
          *size > tenant.size ? std::nullopt : free_slice(view, queue, bucket, *size, deadline, now, out);
      if (slice && launch(view, queue, buckets[bucket], *slice, out)) {
        return true;
      }
    }
  }
  return false;
}

// Among equals the one with fewest idle atoms around it: large pieces stay whole.
std::optional<std::size_t> Dstack::free_slice(const View& view, const ShapeQueue& queue, std::size_t bucket,
                                              std::uint16_t size, TimePoint deadline, TimePoint now,
                                              Decisions& out) const {
  const Instance& instance = queue.instance();
  std::optional<std::size_t> best;
  std::uint16_t least_room = 0;
  for (const std::size_t index : sizes_->slices(size)) {
    if (!view.launchable(index, now)) {
      continue;
    }
    const Occupancy::SliceState& state = view.device.slice(index);
    const bool known = instance.table.known();
    const Duration run = known ? view.predicted(queue, bucket, state.group) : Duration{0};
    const TimePoint end = view.device.start_on(index, now) + run;
    const auto reserved = reserved_.begin() + state.slice.first;
    if (end > deadline || end > *std::min_element(reserved, reserved + state.slice.count)) {
      continue;
    }
    if (!instance.free_lane(index, bucket)) {
      if (instance.homes.lazy() && !instance.homed_in_any_lane(index, bucket)) {
        out.wanted_homes.push_back({instance.id, state.slice, bucket});
      }
      continue;
    }
    const std::uint16_t room = view.device.idle_run_around(state.slice);
    if (!best || room < least_room) {
      best = index;
      least_room = room;
    }
  }
  return best;
}

bool Dstack::launch(const View& view, const ShapeQueue& queue, std::int32_t rows, std::size_t slice, Decisions& out) {
  const Instance& instance = queue.instance();
  const auto decision = as_decision(view, queue, take(queue, std::min(rows, instance.max_rows())), slice);
  if (!decision) {
    return false;
  }
  if (instance.table.known()) {
    const Occupancy::SliceState& state = view.device.slice(slice);
    const Duration run = view.predicted(queue, instance.bucket_for(decision->bucket), state.group);
    const double served = static_cast<double>(run.count()) * 1e-9;
    Tenant& tenant = tenant_of(instance);
    tenant.served[session_ % kSessionsServed] += served;
    tenant.served_lately += served;
  }
  out.launches.push_back(*decision);
  return true;
}

}  // namespace

Result<std::unique_ptr<Policy>> make_dstack(const PolicyOptions& options) {
  if (!options.empty()) {
    return invalid_argument("policy dstack: it has no options, got '" + options.begin()->first + "'");
  }
  return std::unique_ptr<Policy>(std::make_unique<Dstack>());
}

}  // namespace tessera::sched
