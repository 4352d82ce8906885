// A slice for every batch, sized to what the batch needs to meet its deadline.
//
// Every waiting queue has a target (target.h). A batch leaves when it has reached its target, at its latest start, or
// early where atoms would idle and the guard holds. Among those that are to leave, least slack is first; among the
// shapes of one model, priority is. What leaves takes the most efficient slice that still meets its deadline: at the
// latest start that is the smallest one that does. The whole device is one of the slices; where slices would save
// nothing, it is the only one (turns.h). Models without an objective have what the others do not need (lending.h), and
// early batches that outlast another's slack no more than they ask for (restraint.h).
#include <algorithm>
#include <iterator>
#include <tuple>

#include "sched/balance.h"
#include "sched/batching.h"
#include "sched/guard.h"
#include "sched/lending.h"
#include "sched/policy/registry.h"
#include "sched/restraint.h"
#include "sched/sacrifice.h"
#include "sched/slice_choice.h"
#include "sched/target.h"
#include "sched/turns.h"

namespace tessera::sched {
namespace {

constexpr Duration kHouseKeeping = std::chrono::milliseconds(100);
constexpr double kWorthWaiting = 0.6;   // a slice now that scores less than this part of one free in time is not taken
constexpr double kWorthDropping = 0.8;  // likewise for what the head's slack still permits, under overload
constexpr double kOverload = 0.95;      // demand for processors over what there is
constexpr double kOverEntitled = 1.1;   // use over entitlement from which the others come first
constexpr int kDueTries = 8;            // queues looked at in one decision
constexpr int kEarlyTries = 4;          // likewise for an early launch

enum class Tier { kDue, kOverEntitled, kLate, kSpare };

struct Candidate {
  const ShapeQueue* queue = nullptr;
  const Target* target = nullptr;
  Tier tier = Tier::kDue;
  double used = 0;             // orders Tier::kSpare: weighted service so far
  TimePoint due{};             // orders the others: its latest start, moved by Balance
  std::uint64_t sequence = 0;  // of the head; orders those that are alike
};

// Owned by the scheduler.
class Tessera final : public Policy {
 public:
  std::string_view name() const override { return "tessera"; }
  bool heeds_shares() const override { return true; }
  bool uses_all_slices() const override { return true; }
  void decide(const View& view, TimePoint now, Decisions& out) override;
  bool may_lend(const View& view, TimePoint now, const Slice& slice, Duration expected) override;

 private:
  void keep_house(const View& view, TimePoint now, Decisions& out);
  void add_up_demand(const View& view, TimePoint now);
  bool overloaded() const { return demand_ > kOverload * processors_; }
  Target& target_of(const View& view, const ShapeQueue& queue, TimePoint now) {
    const auto pressure_on = [this](const Instance& instance) {
      return Pressure{demand_ / processors_, asked_[instance.index].given, turns_.on()};
    };
    return targets_.of(view, queue, pressure_on, now);
  }
  void share_out();
  bool turn_away(const View& view, const ShapeQueue& queue, Target& target, TimePoint now, Decisions& out) const;
  bool is_lost(const View& view, const ShapeQueue& queue, const Target& target) const;
  void sort_in(const View& view, const ShapeQueue& queue, const Target& target, TimePoint now, Decisions& out);
  TimePoint leaves_at(const View& view, const ShapeQueue& queue, const Target& target, TimePoint now);
  static bool is_within_reserve(const View& view, const Instance& instance);
  Tier tier_of(const View& view, const Instance& instance, const Target& target, TimePoint now) const;
  std::optional<Option> option_now(const View& view, const Candidate& candidate, std::size_t groups, TimePoint now,
                                   Decisions& out);
  bool leaves_room(const View& view, const Option& option, TimePoint now);
  bool may_leave_early(const View& view, const Candidate& candidate, const Option& option, TimePoint now);
  static bool is_its_turn(const View& view, const std::optional<Option>& option, TimePoint now);
  static bool worth_waiting(const Option& now, const Option& soon);
  bool try_due(const View& view, const Candidate& candidate, TimePoint now, Decisions& out);
  bool try_early(const View& view, const Candidate& candidate, TimePoint now, Decisions& out);
  bool keeps_up(const Candidate& candidate, const Option& option, TimePoint now) const;
  bool launch_after_sacrifice(const View& view, const Candidate& candidate, const Option& option, TimePoint now,
                              Decisions& out);
  bool launch_without_head(const View& view, const Candidate& candidate, double score, TimePoint now, Decisions& out);
  static void launch(const View& view, const ShapeQueue& queue, const Option& option,
                     ShapeQueue::Entries::const_iterator first, Decisions& out);

  Guard guard_;
  Targets targets_;
  Balance balance_;
  Lending lending_;
  Restraint restraint_;
  Turns turns_;
  SliceChoice choice_;
  Outlook outlook_;
  std::vector<Candidate> due_;
  std::vector<Candidate> early_;
  std::vector<Fill> fills_;

  std::uint64_t instances_version_ = 0;
  TimePoint kept_at_ = TimePoint::min();
  struct Asked {
    double processors = 0;
    double weight = 0;
    double given = 1.0;  // so much of that, where the device cannot give all
  };
  std::vector<Asked> asked_;  // by instance
  double demand_ = 0;         // processors that the targets of all models with an SLO need together
  double processors_ = 1;
  double weights_ = 0;  // of those that are backlogged
  double served_ = 0;   // processor-seconds of theirs
};

void Tessera::decide(const View& view, TimePoint now, Decisions& out) {
  keep_house(view, now, out);
  if (view.active.empty()) {
    return;
  }
  choice_.look(view, now);
  due_.clear();
  early_.clear();
  for (const ShapeQueue* queue : view.active) {
    Target& target = target_of(view, *queue, now);
    if (!turn_away(view, *queue, target, now, out) && may_be_next(*queue)) {
      sort_in(view, *queue, target, now, out);
    }
  }
  if (!out.hopeless.empty() || !choice_.anything_open()) {
    return;
  }
  const auto by_slack = [](const Candidate& a, const Candidate& b) {
    const auto order = [](const Candidate& c) { return std::tuple(c.tier, c.used, c.due, c.sequence); };
    return order(a) < order(b);
  };
  std::sort(due_.begin(), due_.end(), by_slack);
  int tries = 0;
  for (const Candidate& candidate : due_) {
    if (tries++ == kDueTries || try_due(view, candidate, now, out)) {
      return;
    }
  }
  std::sort(early_.begin(), early_.end(), by_slack);
  tries = 0;
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
  const bool changed = instances_version_ != view.instances_version;
  if (changed) {
    instances_version_ = view.instances_version;
    for (const auto& instance : view.instances) {
      out.wanted_homes.push_back({instance->id, view.device.shape().whole()});
    }
  }
  if (changed || kept_at_ == TimePoint::min() || now - kept_at_ >= kHouseKeeping) {
    kept_at_ = now;
    add_up_demand(view, now);
    turns_.look(view, demand_ / processors_, now);
    balance_.look(view, now);
    lending_.look(view, demand_ / processors_, now);
    restraint_.look(view, targets_, now);
  }
}

void Tessera::add_up_demand(const View& view, TimePoint now) {
  processors_ = view.device.slice(view.device.whole()).processors;
  demand_ = 0;
  weights_ = 0;
  served_ = 0;
  asked_.assign(view.instances.size(), {});
  for (const auto& instance : view.instances) {
    if (!instance->params->slo || instance->is_refused()) {
      continue;
    }
    Asked& asked = asked_[instance->index];
    asked.weight = instance->params->weight;
    for (const auto& [shape, queue] : instance->queues) {
      asked.processors += targets_.processors_for(*queue, now);
    }
    demand_ += asked.processors;
    if (instance->waiting > 0) {
      weights_ += instance->params->weight;
      served_ += instance->service.faded_sum(now);
    }
  }
  share_out();
}

// What of each model's demand the device can give, by weights: who asks for less than its part gets it, and what that
// leaves goes to the others (max-min fairness).
void Tessera::share_out() {
  std::vector<Asked*> order;
  double weights = 0;
  for (Asked& asked : asked_) {
    asked.given = 1.0;
    if (asked.processors > 0) {
      order.push_back(&asked);
      weights += asked.weight;
    }
  }
  std::sort(order.begin(), order.end(),
            [](const Asked* a, const Asked* b) { return a->processors * b->weight < b->processors * a->weight; });
  double left = processors_;
  for (Asked* asked : order) {
    const double part = left * asked->weight / weights;
    const double gets = std::min(part, asked->processors);
    asked->given = gets / asked->processors;
    left -= gets;
    weights -= asked->weight;
  }
}

// Whether the head is rejected: it cannot be answered in time whatever happens now, by what is predicted.
bool Tessera::turn_away(const View& view, const ShapeQueue& queue, Target& target, TimePoint now,
                        Decisions& out) const {
  target.lost = false;
  if (!target.known || !queue.instance().params->slo) {
    return false;
  }
  target.lost = is_lost(view, queue, target);
  const TimePoint too_late = target.deadline - target.fastest + Duration{1};
  if (too_late > now) {
    out.wake_up = std::min(out.wake_up, too_late);
  }
  if (!may_reject_early(queue, now)) {
    return false;
  }
  if (target.lost) {
    out.hopeless.push_back(queue.head().arrival.request);
    return true;
  }
  return false;
}

bool Tessera::is_lost(const View& view, const ShapeQueue& queue, const Target& target) const {
  if (add_saturating(choice_.last_start(), target.fastest) <= target.deadline) {
    return false;
  }
  bool any = false;
  const GroupRange groups = queue.instance().groups;
  for (std::size_t group = groups.end; group-- > groups.first;) {
    const TimePoint start = choice_.group_start(group);
    const TimePoint ends = add_saturating(start, view.predicted(queue, target.least_bucket, group));
    if (ends <= target.deadline) {
      return false;
    }
    any = any || ends != kNever;
  }
  return any;
}

void Tessera::sort_in(const View& view, const ShapeQueue& queue, const Target& target, TimePoint now, Decisions& out) {
  const Instance& instance = queue.instance();
  if (!instance.any_free_lane() || atoms_left(instance, view.device) == 0) {
    return;
  }
  const bool spare = !instance.params->slo && !is_within_reserve(view, instance);
  const TimePoint leaves = spare ? kNever : leaves_at(view, queue, target, now);
  if (leaves > now) {
    out.wake_up = std::min(out.wake_up, leaves);
  }
  if (!choice_.anything_open()) {
    return;
  }
  Candidate candidate{&queue, &target, spare ? Tier::kSpare : tier_of(view, instance, target, now)};
  candidate.due = target.latest == kNever ? kNever : target.latest - balance_.lead(instance);
  candidate.sequence = queue.head().sequence;
  if (spare) {
    candidate.used = instance.service.faded_sum(now) / instance.params->weight;
  }
  (leaves <= now ? due_ : early_).push_back(candidate);
}

// When a batch of the queue has to leave: at its own time, or at that of a shape that it keeps from being next.
TimePoint Tessera::leaves_at(const View& view, const ShapeQueue& queue, const Target& target, TimePoint now) {
  TimePoint leaves = target.full ? now : target.latest;
  if (queue.instance().queues.size() == 1) {
    return leaves;
  }
  for (const auto& [shape, other] : queue.instance().queues) {
    if (other.get() != &queue && !other->empty() && leaves > now && !may_be_next(*other)) {
      const Target& behind = target_of(view, *other, now);
      leaves = std::min(leaves, behind.full ? now : behind.latest);
    }
  }
  return leaves;
}

// Whether it holds less than is reserved for it.
bool Tessera::is_within_reserve(const View& view, const Instance& instance) {
  const double share = instance.params->reserved_share;
  return share > 0.0 && instance.atoms_held < atoms_of(share, view.device);
}

// Of one that is not spare.
Tier Tessera::tier_of(const View& view, const Instance& instance, const Target& target, TimePoint now) const {
  if (is_within_reserve(view, instance)) {
    return Tier::kDue;
  }
  const bool late = target.lost || target.deadline < now;
  if (!overloaded() || weights_ <= 0) {
    return late ? Tier::kLate : Tier::kDue;
  }
  const double used = instance.service.faded_sum(now);
  const double entitled = served_ * instance.params->weight / weights_;
  // Who is late for having got less than its part is not to wait behind those who had more.
  if (late) {
    return kOverEntitled * used < entitled ? Tier::kDue : Tier::kLate;
  }
  return used > kOverEntitled * entitled ? Tier::kOverEntitled : Tier::kDue;
}

std::optional<Option> Tessera::option_now(const View& view, const Candidate& candidate, std::size_t groups,
                                          TimePoint now, Decisions& out) {
  if (!candidate.target->known) {
    return choice_.largest(view, *candidate.queue, out);
  }
  const Instance& instance = candidate.queue->instance();
  const bool bound = instance.params->slo.has_value() && !candidate.target->lost;
  const auto option = choice_.now(view, *candidate.queue, *candidate.target, bound, groups, out);
  if (candidate.target->least_group == instance.groups.first || (turns_.on() && is_its_turn(view, option, now)) ||
      (option && leaves_room(view, *option, now))) {
    return option;
  }
  Target smaller = *candidate.target;  // there is no room for it, or somebody else could not be in time any more
  smaller.least_group = instance.groups.first;
  return choice_.now(view, *candidate.queue, smaller, bound, groups, out);
}

// Whether the guard permits it: where it is committed behind a run, it ends that much later.
bool Tessera::leaves_room(const View& view, const Option& option, TimePoint now) {
  const TimePoint ends = view.device.start_on(option.slice, now) + option.latency;
  return guard_.allows(view, now, view.device.slice(option.slice).slice, ends);
}

bool Tessera::may_leave_early(const View& view, const Candidate& candidate, const Option& option, TimePoint now) {
  if (!leaves_room(view, option, now)) {
    return false;
  }
  const TimePoint ends = view.device.start_on(option.slice, now) + option.latency;
  return candidate.tier == Tier::kSpare || turns_.on() ||
         restraint_.allows(view, candidate.queue->instance(), view.device.slice(option.slice).slice, ends, now);
}

// While all take turns nobody is served sooner by a small slice, unless the whole device takes nothing: some of it is
// lent or lost, or the batch has no home there yet.
bool Tessera::is_its_turn(const View& view, const std::optional<Option>& option, TimePoint now) {
  const std::size_t whole = view.device.whole();
  return !view.device.slice(whole).blocked && (option || !view.launchable(whole, now));
}

// Whether a slice that will be free is better than one that is.
bool Tessera::worth_waiting(const Option& now, const Option& soon) {
  return !now.with_margin || now.score < kWorthWaiting * soon.score;
}

bool Tessera::try_due(const View& view, const Candidate& candidate, TimePoint now, Decisions& out) {
  const Target& target = *candidate.target;
  const std::optional<Option> option = option_now(view, candidate, candidate.queue->instance().groups.end, now, out);
  if (target.known && candidate.tier != Tier::kLate) {
    const std::optional<Option> soon = choice_.soon(view, *candidate.queue, target, out);
    if (soon && (!option || worth_waiting(*option, *soon))) {
      const TimePoint until = target.deadline - target.margin - soon->latency + Duration{1};
      if (until > now) {
        out.wake_up = std::min(out.wake_up, until);
      }
      choice_.claim(view, *soon);
      return false;
    }
  }
  const double score = option ? option->score : 0;
  if (overloaded() && target.known && launch_without_head(view, candidate, score, now, out)) {
    return true;
  }
  if (option && target.known && launch_after_sacrifice(view, candidate, *option, now, out)) {
    return true;
  }
  if (option) {
    launch(view, *candidate.queue, *option, candidate.queue->entries().begin(), out);
  }
  return option.has_value();
}

// Where the small batch that the head still permits would lose more behind it.
bool Tessera::launch_after_sacrifice(const View& view, const Candidate& candidate, const Option& option, TimePoint now,
                                     Decisions& out) {
  const ShapeQueue& queue = *candidate.queue;
  const Instance& instance = queue.instance();
  if (!instance.params->dynamic_batching || !may_reject_early(queue, now) || is_closed(queue)) {
    return false;
  }
  // As many batches at a time as it has lanes, where the others who wait get as much of the device each.
  Pace pace;
  pace.group = option.group;
  const double slices = processors_ / view.device.group_processors(option.group);
  pace.at_once = std::min<double>(instance.params->lanes, slices / static_cast<double>(view.active.size()));
  const auto sacrifice = outlook_.better(view, queue, option.bucket, pace, now);
  const auto instead = sacrifice ? choice_.at(view, queue, sacrifice->bucket, option.group, &out) : std::nullopt;
  if (!instead) {
    return false;
  }
  const auto first = std::next(queue.entries().begin(), sacrifice->lost);
  give_up(queue, first, out);
  launch(view, queue, *instead, first, out);
  return true;
}

// Under overload somebody is lost anyway. Where the head's little slack permits only a wasteful batch and those behind
// it can fill a better one, the head is the one to lose. The most efficient such batch is taken, in slices no smaller
// than the target's: in smaller ones lanes might not suffice.
bool Tessera::launch_without_head(const View& view, const Candidate& candidate, double score, TimePoint now,
                                  Decisions& out) {
  const ShapeQueue& queue = *candidate.queue;
  const Instance& instance = queue.instance();
  // Behind the head it may not be this shape's turn, where answers keep the order of arrival.
  if (!instance.params->dynamic_batching || !may_reject_early(queue, now) || is_closed(queue)) {
    return false;
  }
  fills_without_head(view, queue, candidate.target->group, score / kWorthDropping, now + candidate.target->margin,
                     fills_);
  for (const Fill& fill : fills_) {
    // Only for the best one a home is asked for.
    Decisions* ask = &fill == fills_.data() ? &out : nullptr;
    if (const auto option = choice_.at(view, queue, fill.bucket, fill.group, ask)) {
      give_up(queue, fill.first, out);
      launch(view, queue, *option, fill.first, out);
      return true;
    }
  }
  return false;
}

// Whether the whole device could keep up with the model's requests, were all its batches like this one. Early ones that
// are worse take from their own model what it will need: the lanes, and the time in which those behind could gather.
bool Tessera::keeps_up(const Candidate& candidate, const Option& option, TimePoint now) const {
  return option.score * processors_ >= candidate.queue->instance().rate.per_second(now);
}

bool Tessera::try_early(const View& view, const Candidate& candidate, TimePoint now, Decisions& out) {
  // On an idle device holding back a request with an objective would help nobody: it has to run some time.
  const bool alone = view.device.in_flight() == 0 && candidate.tier != Tier::kSpare;
  std::size_t groups = candidate.tier == Tier::kSpare ? lending_.groups_end(view, candidate.queue->instance(), now)
                                                      : candidate.queue->instance().groups.end;
  while (const std::optional<Option> option = option_now(view, candidate, groups, now, out)) {
    if (!alone && candidate.target->known && candidate.tier != Tier::kSpare && !keeps_up(candidate, *option, now)) {
      return false;
    }
    if (alone || may_leave_early(view, candidate, *option, now)) {
      launch(view, *candidate.queue, *option, candidate.queue->entries().begin(), out);
      return true;
    }
    const bool turn = turns_.on() && !view.device.slice(view.device.whole()).blocked;
    if (!candidate.target->known || option->group == 0 || turn) {
      break;
    }
    groups = option->group;  // a smaller slice may leave the others what they need
  }
  if (view.device.in_flight() == 0) {
    out.wake_up = std::min(out.wake_up, now + kHouseKeeping);  // no event need come before the guard changes its mind
  }
  return false;
}

void Tessera::launch(const View& view, const ShapeQueue& queue, const Option& option,
                     ShapeQueue::Entries::const_iterator first, Decisions& out) {
  const Instance& instance = queue.instance();
  const std::int32_t bucket = instance.params->buckets[option.bucket];
  const Taken batch = take(queue, first, std::min(bucket, instance.max_rows()));
  const auto lane = static_cast<std::uint16_t>(*instance.free_lane(option.slice, option.bucket));
  out.launches.push_back(
      {instance.id, queue.shape(), batch.requests, bucket, LaneIndex{lane}, view.device.slice(option.slice).slice});
}

}  // namespace

Result<std::unique_ptr<Policy>> make_tessera(const PolicyOptions& options) {
  if (!options.empty()) {
    return invalid_argument("policy tessera: unknown option '" + options.begin()->first + "'");
  }
  return std::unique_ptr<Policy>(std::make_unique<Tessera>());
}

}  // namespace tessera::sched
