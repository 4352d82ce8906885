// A slice for every batch, sized to what the batch needs to meet its deadline.
//
// Every waiting queue has a target: the (bucket, slice size) that answers most rows per processor-second among those
// that its arrival rate can fill in time. A batch leaves when it has reached its target, at its latest start, or early
// where atoms would idle and the guard holds. Among those that are to leave, least slack is first. What leaves takes
// the most efficient slice that still meets its deadline: at the latest start that is the smallest one that does.
#include <algorithm>
#include <limits>
#include <tuple>

#include "sched/batching.h"
#include "sched/guard.h"
#include "sched/policy/policies.h"

namespace tessera::sched {
namespace {

constexpr Duration kTargetAge = std::chrono::milliseconds(100);  // then rates are looked at again
constexpr double kSimilar = 0.97;       // of two slices with scores this close the faster one is taken
constexpr double kWorthWaiting = 0.6;   // a slice now that scores less than this part of one free in time is not taken
constexpr double kWorthDropping = 0.5;  // likewise for what the head's slack still permits, under overload
constexpr double kOverload = 0.95;      // demand for processor-seconds over what there is
constexpr double kOverEntitled = 1.1;   // use over entitlement from which the others come first
constexpr int kEarlyTries = 4;          // queues looked at for an early launch in one decision
constexpr std::size_t kClaims = 4;      // slices kept for batches that wait for them, in one decision

// What is derived from a queue and kept until it changes.
struct Plan {
  std::uint64_t serial = 0;
  std::uint64_t version = 0;
  std::uint32_t table_version = 0;
  TimePoint target_until = TimePoint::min();

  bool known = false;  // the model's latency is
  std::size_t target_bucket = 0;
  std::size_t target_group = 0;
  double target_score = 0;  // rows per processor-second
  std::int64_t rows = 0;    // that wait, at most the model's largest batch
  bool full = false;
  TimePoint deadline = kNever;
  TimePoint latest = kNever;  // latest start
  Duration margin{0};
  bool lost = false;  // cannot be in time by what is predicted, as of this decision
};

enum class Tier { kDue, kOverEntitled, kLate, kSpare };

struct Candidate {
  const ShapeQueue* queue = nullptr;
  const Plan* plan = nullptr;
  Tier tier = Tier::kDue;
  double used = 0;  // orders Tier::kSpare: weighted service so far
  TimePoint latest{};
};

struct Option {
  std::size_t bucket = 0;
  std::size_t group = 0;
  std::size_t slice = 0;
  double score = 0;
  Duration latency{0};
};

struct Claim {
  Slice slice;
  TimePoint from;
};

// Owned by the scheduler.
class Tessera final : public Policy {
 public:
  std::string_view name() const override { return "tessera"; }
  void decide(const View& view, TimePoint now, Decisions& out) override;
  bool may_lend(const View& view, TimePoint now, const Slice& slice, Duration expected) override;

 private:
  void keep_house(const View& view, TimePoint now, Decisions& out);
  Plan& plan_of(const View& view, const ShapeQueue& queue, TimePoint now);
  void set_target(const View& view, const ShapeQueue& queue, Plan& plan, TimePoint now) const;
  void set_times(const View& view, const ShapeQueue& queue, Plan& plan) const;
  void look_at_device(const View& view, TimePoint now);
  bool turn_away(const View& view, const ShapeQueue& queue, Plan& plan, TimePoint now, Decisions& out) const;
  bool drop_for_efficiency(const View& view, const ShapeQueue& queue, const Plan& plan, TimePoint now,
                           Decisions& out) const;
  void sort_in(const View& view, const ShapeQueue& queue, const Plan& plan, TimePoint now, Decisions& out);
  Tier tier_of(const View& view, const Instance& instance, const Plan& plan, TimePoint now) const;
  bool try_due(const View& view, const Candidate& candidate, TimePoint now, Decisions& out);
  bool try_early(const View& view, const Candidate& candidate, TimePoint now, Decisions& out);
  std::optional<Option> best_now(const View& view, const Candidate& candidate, TimePoint now, Decisions& out) const;
  std::optional<Option> best_soon(const View& view, const Candidate& candidate, TimePoint now) const;
  std::optional<Option> largest_now(const View& view, const ShapeQueue& queue, TimePoint now, Decisions& out) const;
  std::optional<std::size_t> pick(const View& view, const ShapeQueue& queue, std::size_t bucket, std::size_t group,
                                  TimePoint now, TimePoint until, Decisions& out) const;
  static void launch(const View& view, const ShapeQueue& queue, const Option& option, Decisions& out);

  Guard guard_;
  std::vector<Plan> plans_;  // by the queue's slot
  std::uint64_t instances_version_ = 0;
  TimePoint kept_at_ = TimePoint::min();
  double demand_ = 0;  // processors that all targets together need
  double processors_ = 1;
  double weights_ = 0;  // of the models with an SLO that are backlogged
  double served_ = 0;   // processor-seconds of theirs

  // Of the decision at hand.
  std::vector<char> group_open_;        // a slice of that size could be launched on now
  std::vector<TimePoint> group_start_;  // when the first one could
  TimePoint last_start_{};              // of all groups
  std::vector<Claim> claims_;
  std::vector<Candidate> due_;
  std::vector<Candidate> early_;
};

double per_second(std::int64_t rows, Duration latency, std::int32_t processors) {
  return static_cast<double>(rows) * 1e9 /
         (static_cast<double>(std::max<Duration::rep>(1, latency.count())) * processors);
}

std::uint16_t most_atoms(const Instance& instance, const Occupancy& device) {
  const std::uint16_t most = std::max<std::uint16_t>(1, atoms_of(instance.params->max_share, device));
  return most > instance.atoms_held ? static_cast<std::uint16_t>(most - instance.atoms_held) : std::uint16_t{0};
}

void Tessera::decide(const View& view, TimePoint now, Decisions& out) {
  keep_house(view, now, out);
  if (view.active.empty()) {
    return;
  }
  look_at_device(view, now);
  due_.clear();
  early_.clear();
  claims_.clear();
  for (const ShapeQueue* queue : view.active) {
    Plan& plan = plan_of(view, *queue, now);
    if (!turn_away(view, *queue, plan, now, out)) {
      sort_in(view, *queue, plan, now, out);
    }
  }
  if (!out.hopeless.empty()) {
    return;
  }
  if (std::none_of(group_open_.begin(), group_open_.end(), [](char open) { return open != 0; })) {
    return;
  }
  const auto by_slack = [](const Candidate& a, const Candidate& b) {
    const auto order = [](const Candidate& c) {
      return std::tuple(c.tier, c.used, c.latest, c.queue->head().sequence);
    };
    return order(a) < order(b);
  };
  std::sort(due_.begin(), due_.end(), by_slack);
  for (const Candidate& candidate : due_) {
    if (try_due(view, candidate, now, out)) {
      return;
    }
  }
  std::sort(early_.begin(), early_.end(), by_slack);
  int tries = 0;
  for (const Candidate& candidate : early_) {
    if (tries++ == kEarlyTries || try_early(view, candidate, now, out)) {
      return;
    }
  }
}

bool Tessera::may_lend(const View& view, TimePoint now, const Slice& slice, Duration expected) {
  guard_.refresh(view, now);
  return guard_.allows(view, now, slice, now + expected);
}

void Tessera::keep_house(const View& view, TimePoint now, Decisions& out) {
  guard_.refresh(view, now);
  plans_.resize(std::max(plans_.size(), view.slots()));
  const bool changed = instances_version_ != view.instances_version;
  if (!changed && kept_at_ != TimePoint::min() && now - kept_at_ < kTargetAge) {
    return;
  }
  kept_at_ = now;
  instances_version_ = view.instances_version;
  processors_ = view.device.slice(view.device.whole()).processors;
  demand_ = 0;
  weights_ = 0;
  served_ = 0;
  for (const auto& instance : view.instances) {
    if (changed) {
      out.wanted_homes.emplace_back(instance->id, view.device.shape().whole());
    }
    if (!instance->params->slo) {
      continue;
    }
    for (const auto& [shape, queue] : instance->queues) {
      const Plan& plan = plans_[queue->slot];
      if (plan.serial == queue->serial() && plan.target_score > 0) {
        demand_ += instance->rate.per_second(now) / plan.target_score / static_cast<double>(instance->queues.size());
      }
    }
    if (instance->waiting > 0) {
      weights_ += instance->params->weight;
      served_ += instance->service.faded_sum(now);
    }
  }
}

Plan& Tessera::plan_of(const View& view, const ShapeQueue& queue, TimePoint now) {
  Plan& plan = plans_[queue.slot];
  const std::uint32_t table_version = queue.instance().table.version();
  if (plan.serial != queue.serial()) {
    plan = Plan{};
    plan.serial = queue.serial();
  }
  const bool table_changed = plan.table_version != table_version;
  if (table_changed || now >= plan.target_until) {
    plan.table_version = table_version;
    plan.target_until = now + kTargetAge;
    set_target(view, queue, plan, now);
    plan.version = 0;
  }
  if (plan.version != queue.version()) {
    plan.version = queue.version();
    set_times(view, queue, plan);
  }
  return plan;
}

void Tessera::set_target(const View& view, const ShapeQueue& queue, Plan& plan, TimePoint now) const {
  const Instance& instance = queue.instance();
  const ModelParams& params = *instance.params;
  plan.known = instance.table.known();
  plan.target_score = 0;
  if (!plan.known) {
    return;
  }
  const Duration slo = params.slo.value_or(kForever);
  const double rate = instance.rate.per_second(now);
  const std::size_t buckets = params.dynamic_batching ? params.buckets.size() : 1;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    const std::int32_t rows = std::min(params.buckets[bucket], instance.max_rows());
    const double collecting = rows > 1 ? (rows - 1) / std::max(rate, 1e-3) * 1e9 : 0.0;
    for (std::size_t group = 0; group < view.device.groups(); ++group) {
      const Duration latency = view.predicted(queue, bucket, group);
      const Duration margin = params.slo ? bounded_margin(instance.table.margin(), slo, latency) : Duration{0};
      const double score = per_second(rows, latency, view.device.group_processors(group));
      const bool fits = !params.slo || static_cast<double>((latency + margin).count()) + collecting <=
                                           static_cast<double>(slo.count());
      // Groups come smallest first: a larger one is taken where it is hardly less efficient, for it is faster.
      if (fits && score > plan.target_score * (bucket == plan.target_bucket ? kSimilar : 1.0)) {
        plan.target_bucket = bucket;
        plan.target_group = group;
        plan.target_score = score;
      }
    }
  }
  if (plan.target_score == 0) {
    // Not even a batch of one fits its objective: the fastest there is comes closest.
    plan.target_bucket = 0;
    for (std::size_t group = 0; group < view.device.groups(); ++group) {
      if (view.predicted(queue, 0, group) <= view.predicted(queue, 0, plan.target_group)) {
        plan.target_group = group;
      }
    }
    plan.target_score =
        per_second(1, view.predicted(queue, 0, plan.target_group), view.device.group_processors(plan.target_group));
  }
}

void Tessera::set_times(const View& view, const ShapeQueue& queue, Plan& plan) const {
  const Instance& instance = queue.instance();
  const ModelParams& params = *instance.params;
  const Request& head = queue.head();
  plan.rows = std::min<std::int64_t>(queue.rows(), instance.max_rows());
  plan.deadline = head.deadline;
  plan.latest = head.deadline;
  if (!params.dynamic_batching) {
    plan.rows = head.arrival.rows;
  }
  if (!plan.known || !params.slo) {
    plan.full = !plan.known;
    return;
  }
  plan.full = plan.rows >= params.buckets[plan.target_bucket];
  const std::size_t bucket =
      std::max(std::min(instance.bucket_for(plan.rows), plan.target_bucket), instance.bucket_for(head.arrival.rows));
  const Duration latency = view.predicted(queue, bucket, plan.target_group);
  plan.margin = bounded_margin(instance.table.margin(), *params.slo, latency);
  plan.latest = plan.deadline - latency - plan.margin;
  if (params.dynamic_batching && params.max_queue_delay > Duration{0}) {
    plan.latest = std::min(plan.latest, add_saturating(head.arrival.arrival, params.max_queue_delay));
  }
}

void Tessera::look_at_device(const View& view, TimePoint now) {
  group_open_.assign(view.device.groups(), 0);
  group_start_.assign(view.device.groups(), kNever);
  for (std::size_t index = 0; index < view.device.slices().size(); ++index) {
    const Occupancy::SliceState& state = view.device.slice(index);
    if (state.blocked) {
      continue;
    }
    group_start_[state.group] = std::min(group_start_[state.group], std::max(now, state.free_at));
    if (view.launchable(index, now)) {
      group_open_[state.group] = 1;
    }
  }
  last_start_ = *std::max_element(group_start_.begin(), group_start_.end());
}

// Whether the head is rejected: it cannot be answered in time whatever happens now, by what is predicted.
bool Tessera::turn_away(const View& view, const ShapeQueue& queue, Plan& plan, TimePoint now, Decisions& out) const {
  plan.lost = false;
  if (!plan.known || !queue.instance().params->slo) {
    return false;
  }
  const std::size_t bucket = queue.instance().bucket_for(queue.head().arrival.rows);
  const Duration fastest = view.scaled(queue.instance().table.fastest(bucket), queue.factor());
  const bool may_reject = may_reject_early(queue, now);
  const TimePoint too_late = plan.deadline - fastest + Duration{1};
  if (may_reject && too_late > now) {
    out.wake_up = std::min(out.wake_up, too_late);
  }
  if (add_saturating(last_start_, fastest) > plan.deadline) {
    TimePoint soonest = kNever;
    for (std::size_t group = 0; group < view.device.groups(); ++group) {
      soonest = std::min(soonest, add_saturating(group_start_[group], view.predicted(queue, bucket, group)));
    }
    plan.lost = soonest > plan.deadline && soonest != kNever;
  }
  if (!may_reject) {
    return false;
  }
  if (plan.lost) {
    out.hopeless.push_back(queue.head().arrival.request);
    return true;
  }
  return demand_ > kOverload * processors_ && drop_for_efficiency(view, queue, plan, now, out);
}

// Under overload somebody is lost anyway. Where the head's little slack permits only a wasteful batch and those behind
// it could fill their target, the head is the one to lose.
bool Tessera::drop_for_efficiency(const View& view, const ShapeQueue& queue, const Plan& plan, TimePoint now,
                                  Decisions& out) const {
  const Instance& instance = queue.instance();
  const std::int32_t wanted = instance.params->buckets[plan.target_bucket];
  if (plan.latest >= now || queue.rows() <= wanted) {
    return false;
  }
  double best = 0;
  for (std::size_t bucket = 0; bucket <= plan.target_bucket; ++bucket) {
    for (std::size_t group = 0; group < view.device.groups(); ++group) {
      const Duration latency = view.predicted(queue, bucket, group);
      if (add_saturating(group_start_[group], latency) <= plan.deadline) {
        best =
            std::max(best, per_second(instance.params->buckets[bucket], latency, view.device.group_processors(group)));
      }
    }
  }
  if (best >= kWorthDropping * plan.target_score) {
    return false;
  }
  const TimePoint needed = now + view.predicted(queue, plan.target_bucket, plan.target_group);
  std::int64_t left = queue.rows();
  std::size_t dropped = 0;
  for (const ShapeQueue::Entry& entry : queue.entries()) {
    if (entry.request->deadline >= needed || left - entry.request->arrival.rows < wanted) {
      break;
    }
    left -= entry.request->arrival.rows;
    out.hopeless.push_back(entry.request->arrival.request);
    ++dropped;
  }
  return dropped > 0;
}

void Tessera::sort_in(const View& view, const ShapeQueue& queue, const Plan& plan, TimePoint now, Decisions& out) {
  const Instance& instance = queue.instance();
  if (!instance.any_free_lane() || most_atoms(instance, view.device) == 0) {
    return;
  }
  Candidate candidate{&queue, &plan, tier_of(view, instance, plan, now), 0, plan.latest};
  if (candidate.tier == Tier::kSpare) {
    candidate.used = instance.service.faded_sum(now) / instance.params->weight;
    early_.push_back(candidate);
    return;
  }
  if (plan.full || plan.latest <= now || !instance.params->slo) {
    due_.push_back(candidate);
    return;
  }
  out.wake_up = std::min(out.wake_up, plan.latest);
  early_.push_back(candidate);
}

Tier Tessera::tier_of(const View& view, const Instance& instance, const Plan& plan, TimePoint now) const {
  const ModelParams& params = *instance.params;
  if (params.reserved_share > 0.0 && instance.atoms_held < atoms_of(params.reserved_share, view.device)) {
    return Tier::kDue;
  }
  if (!params.slo) {
    return Tier::kSpare;
  }
  if (plan.lost || plan.deadline < now) {
    return Tier::kLate;
  }
  if (demand_ > kOverload * processors_ && weights_ > 0) {
    const double entitled = served_ * params.weight / weights_;
    if (instance.service.faded_sum(now) > kOverEntitled * entitled) {
      return Tier::kOverEntitled;
    }
  }
  return Tier::kDue;
}

bool Tessera::try_due(const View& view, const Candidate& candidate, TimePoint now, Decisions& out) {
  const ShapeQueue& queue = *candidate.queue;
  const std::optional<Option> option =
      candidate.plan->known ? best_now(view, candidate, now, out) : largest_now(view, queue, now, out);
  if (candidate.plan->known && candidate.tier != Tier::kLate) {
    const std::optional<Option> soon = best_soon(view, candidate, now);
    if (soon && (!option || option->score < kWorthWaiting * soon->score)) {
      const TimePoint until = candidate.plan->deadline - candidate.plan->margin - soon->latency + Duration{1};
      if (until > now && until != kNever) {
        out.wake_up = std::min(out.wake_up, until);
      }
      if (claims_.size() < kClaims) {
        claims_.push_back({view.device.slice(soon->slice).slice, view.device.start_on(soon->slice, now)});
      }
      return false;
    }
  }
  if (!option) {
    return false;
  }
  launch(view, queue, *option, out);
  return true;
}

bool Tessera::try_early(const View& view, const Candidate& candidate, TimePoint now, Decisions& out) {
  const ShapeQueue& queue = *candidate.queue;
  const std::optional<Option> option =
      candidate.plan->known ? best_now(view, candidate, now, out) : largest_now(view, queue, now, out);
  if (!option) {
    return false;
  }
  const Slice slice = view.device.slice(option->slice).slice;
  // On an idle device holding back a request with an objective would help nobody: it has to run some time.
  const bool alone = view.device.in_flight() == 0 && candidate.tier != Tier::kSpare;
  if (!alone && !guard_.allows(view, now, slice, now + option->latency)) {
    return false;
  }
  launch(view, queue, *option, out);
  return true;
}

// The most efficient batch that could begin now and be in time; the fastest way where none is in time any more.
std::optional<Option> Tessera::best_now(const View& view, const Candidate& candidate, TimePoint now,
                                        Decisions& out) const {
  const ShapeQueue& queue = *candidate.queue;
  const Plan& plan = *candidate.plan;
  const Instance& instance = queue.instance();
  const std::size_t last = instance.bucket_for(plan.rows);
  const std::size_t first = instance.bucket_for(queue.head().arrival.rows);
  const bool bound = instance.params->slo.has_value() && candidate.tier != Tier::kLate;
  const std::uint16_t atoms = most_atoms(instance, view.device);
  // First with the margin, then without, then whatever there is.
  for (int strictness = bound ? 2 : 0; strictness >= 0; --strictness) {
    std::uint64_t failed = 0;  // options without a homed, free and unclaimed slice, a bit for each
    for (;;) {
      std::optional<Option> best;
      for (std::size_t bucket = first; bucket <= last; ++bucket) {
        const std::int64_t rows = std::min<std::int64_t>(plan.rows, instance.params->buckets[bucket]);
        for (std::size_t group = 0; group < view.device.groups(); ++group) {
          const std::size_t bit = (bucket - first) * view.device.groups() + group;
          if (group_open_[group] == 0 || (bit < 64 && (failed >> bit & 1U) != 0)) {
            continue;
          }
          const Duration latency = view.predicted(queue, bucket, group);
          const Duration slack = strictness == 2 ? plan.margin : Duration{0};
          if (strictness > 0 && add_saturating(now, latency + slack) > plan.deadline) {
            continue;
          }
          const double score = per_second(rows, latency, view.device.group_processors(group));
          if (!best || score > best->score * (bucket == best->bucket ? kSimilar : 1.0)) {
            best = Option{bucket, group, 0, score, latency};
          }
        }
      }
      if (!best) {
        break;
      }
      const auto slice = pick(view, queue, best->bucket, best->group, now, now + best->latency, out);
      if (slice && view.device.slice(*slice).slice.count <= atoms) {
        best->slice = *slice;
        return best;
      }
      const std::size_t bit = (best->bucket - first) * view.device.groups() + best->group;
      if (bit >= 64) {
        break;
      }
      failed |= std::uint64_t{1} << bit;
    }
  }
  return std::nullopt;
}

// The most efficient batch that could begin on a busy slice and still be in time.
std::optional<Option> Tessera::best_soon(const View& view, const Candidate& candidate, TimePoint now) const {
  const ShapeQueue& queue = *candidate.queue;
  const Plan& plan = *candidate.plan;
  const Instance& instance = queue.instance();
  if (plan.deadline == kNever) {
    return std::nullopt;
  }
  const std::size_t last = instance.bucket_for(plan.rows);
  std::optional<Option> best;
  for (std::size_t bucket = instance.bucket_for(queue.head().arrival.rows); bucket <= last; ++bucket) {
    const std::int64_t rows = std::min<std::int64_t>(plan.rows, instance.params->buckets[bucket]);
    for (std::size_t group = 0; group < view.device.groups(); ++group) {
      if (group_open_[group] != 0 || group_start_[group] == kNever) {
        continue;
      }
      const Duration latency = view.predicted(queue, bucket, group);
      const double score = per_second(rows, latency, view.device.group_processors(group));
      if (add_saturating(group_start_[group], latency + plan.margin) <= plan.deadline &&
          (!best || score > best->score)) {
        best = Option{bucket, group, 0, score, latency};
      }
    }
  }
  if (!best) {
    return std::nullopt;
  }
  for (const std::size_t slice : view.device.group_slices(best->group)) {
    if (!view.device.slice(slice).blocked && view.device.start_on(slice, now) == group_start_[best->group]) {
      best->slice = slice;
    }
  }
  return best;
}

// With nothing known of a model the largest slice that is free teaches most.
std::optional<Option> Tessera::largest_now(const View& view, const ShapeQueue& queue, TimePoint now,
                                           Decisions& out) const {
  const Instance& instance = queue.instance();
  const std::int64_t rows = std::min<std::int64_t>(queue.rows(), instance.max_rows());
  const std::size_t bucket = instance.bucket_for(instance.params->dynamic_batching ? rows : queue.head().arrival.rows);
  const std::uint16_t atoms = most_atoms(instance, view.device);
  for (std::size_t group = view.device.groups(); group-- > 0;) {
    const auto slice = group_open_[group] != 0 ? pick(view, queue, bucket, group, now, now, out) : std::nullopt;
    if (slice && view.device.slice(*slice).slice.count <= atoms) {
      return Option{bucket, group, *slice, 0, Duration{0}};
    }
  }
  return std::nullopt;
}

// Aligned best fit: the slice with the least idle room around it, so that large ones stay whole; then the poster's own.
std::optional<std::size_t> Tessera::pick(const View& view, const ShapeQueue& queue, std::size_t bucket,
                                         std::size_t group, TimePoint now, TimePoint until, Decisions& out) const {
  const Instance& instance = queue.instance();
  const auto poster = queue.head().arrival.poster_atom;
  std::optional<std::size_t> best;
  std::tuple<bool, int, bool> best_rank;
  std::optional<std::size_t> not_homed;
  for (const std::size_t index : view.device.group_slices(group)) {
    const Slice slice = view.device.slice(index).slice;
    if (!view.launchable(index, now)) {
      continue;
    }
    const bool claimed = std::any_of(claims_.begin(), claims_.end(), [&](const Claim& claim) {
      return claim.slice.overlaps(slice) && until > claim.from;
    });
    if (claimed || !Guard::leaves_reserved(view, now, instance, slice, until)) {
      continue;
    }
    if (!instance.free_lane(index, bucket)) {
      not_homed = index;
      continue;
    }
    const bool idle = view.device.idle(index);
    const std::tuple rank(!idle, idle ? view.device.idle_run_around(slice) : 0, !(poster && slice.contains(*poster)));
    if (!best || rank < best_rank) {
      best = index;
      best_rank = rank;
    }
  }
  if (!best && not_homed) {
    out.wanted_homes.emplace_back(instance.id, view.device.slice(*not_homed).slice);
  }
  return best;
}

void Tessera::launch(const View& view, const ShapeQueue& queue, const Option& option, Decisions& out) {
  const Instance& instance = queue.instance();
  const Taken batch = take(queue, std::min(instance.params->buckets[option.bucket], instance.max_rows()));
  const auto lane = instance.free_lane(option.slice, option.bucket);
  out.launches.push_back({instance.id, queue.shape(), batch.requests, instance.params->buckets[option.bucket],
                          LaneIndex{static_cast<std::uint16_t>(*lane)}, view.device.slice(option.slice).slice});
}

}  // namespace

Result<std::unique_ptr<Policy>> make_tessera(const PolicyOptions& options) {
  if (!options.empty()) {
    return invalid_argument("policy tessera: unknown option '" + options.begin()->first + "'");
  }
  return std::unique_ptr<Policy>(std::make_unique<Tessera>());
}

}  // namespace tessera::sched
