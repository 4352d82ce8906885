// The whole device for one batch at a time, as servers without spatial sharing run it.
//
// By default the batch with the earliest deadline is next, the largest that meets it; requests that cannot make it are
// dropped, and so are those that only a small batch could answer in time where a larger one without them answers more.
// With "triton=1" batches leave in the order of arrival and nothing is dropped before its time. How long a
// batch waits to grow is Triton's size-or-delay rule in both.
#include <algorithm>
#include <iterator>
#include <tuple>

#include "sched/batching.h"
#include "sched/policy/registry.h"
#include "sched/sacrifice.h"

namespace tessera::sched {
namespace {

// Owned by the scheduler.
class Temporal final : public Policy {
 public:
  explicit Temporal(bool triton) : triton_(triton) {}

  std::string_view name() const override { return "temporal"; }
  void decide(const View& view, TimePoint now, Decisions& out) override;

 private:
  struct Candidate {
    const ShapeQueue* queue = nullptr;
    Taken batch;
    std::size_t slice = 0;
    TimePoint deadline = kNever;
    TimePoint arrival{};
    std::uint64_t sequence = 0;
  };

  void want_whole_device(const View& view, Decisions& out);
  static TimePoint start(const View& view, TimePoint now);
  bool turn_away_hopeless(const View& view, TimePoint now, Decisions& out) const;
  void consider(const View& view, const ShapeQueue& queue, TimePoint now, Decisions& out);
  bool drop_heads(const View& view, const Candidate& candidate, const Taken& batch, TimePoint begins, TimePoint now,
                  Decisions& out);
  bool next_may_go(const View& view, std::size_t slice, TimePoint now) const;

  bool triton_;
  std::uint64_t seen_instances_ = 0;
  std::size_t last_slice_ = 0;
  std::vector<Candidate> candidates_;
  Outlook outlook_;
};

void Temporal::decide(const View& view, TimePoint now, Decisions& out) {
  want_whole_device(view, out);
  if (!triton_ && turn_away_hopeless(view, now, out)) {
    return;
  }
  if (view.device.in_flight() >= view.device.depth()) {
    return;
  }
  candidates_.clear();
  for (const ShapeQueue* queue : view.active) {
    if (leads_its_instance(*queue)) {
      consider(view, *queue, now, out);
    }
  }
  std::sort(candidates_.begin(), candidates_.end(), [this](const Candidate& a, const Candidate& b) {
    const auto order = [this](const Candidate& c) {
      return std::tuple(triton_ ? TimePoint{} : c.deadline, c.arrival, c.sequence);
    };
    return order(a) < order(b);
  });
  for (const Candidate& candidate : candidates_) {
    if (!next_may_go(view, candidate.slice, now)) {
      out.wake_up = std::min(out.wake_up, view.run_ahead_at(candidate.slice, now));
      return;  // nobody overtakes on the one slice there is
    }
    const std::size_t group = view.device.slice(candidate.slice).group;
    const TimePoint begins = view.device.start_on(candidate.slice, now);
    const Taken batch =
        triton_ ? candidate.batch : largest_in_time(view, *candidate.queue, candidate.batch, group, begins);
    if (!triton_ && drop_heads(view, candidate, batch, begins, now, out)) {
      return;
    }
    if (auto decision = as_decision(view, *candidate.queue, batch, candidate.slice)) {
      last_slice_ = candidate.slice;
      out.launches.push_back(*decision);
      return;
    }
  }
}

void Temporal::want_whole_device(const View& view, Decisions& out) {
  if (seen_instances_ == view.instances_version) {
    return;
  }
  seen_instances_ = view.instances_version;
  for (const auto& instance : view.instances) {
    out.wanted_homes.push_back({instance->id, view.device.shape().whole()});
  }
}

bool Temporal::turn_away_hopeless(const View& view, TimePoint now, Decisions& out) const {
  const TimePoint begins = view.device.start_on(view.device.whole(), now);
  for (const ShapeQueue* queue : view.active) {
    const Request& head = queue->head();
    const Instance& instance = queue->instance();
    if (head.deadline == kNever || !may_reject_early(*queue, now)) {
      continue;
    }
    const auto fastest = view.scaled(instance.table.fastest(instance.bucket_for(head.arrival.rows)), queue->factor());
    if (add_saturating(begins, fastest) > head.deadline) {
      out.hopeless.push_back(head.arrival.request);
      continue;
    }
    const TimePoint too_late = head.deadline - fastest + Duration{1};
    if (too_late > now) {
      out.wake_up = std::min(out.wake_up, too_late);
    }
  }
  return !out.hopeless.empty();
}

void Temporal::consider(const View& view, const ShapeQueue& queue, TimePoint now, Decisions& out) {
  const auto slice = usable_slice(view, queue.instance(), view.device.whole());
  if (!slice || !queue.instance().any_free_lane()) {
    return;
  }
  const Request& head = queue.head();
  Ripe ripe = size_or_delay(queue, now);
  if (ripe.batch.requests == 0) {
    // It must not wait beyond the moment from which it would come too late.
    TimePoint latest = kNever;
    const LatencyTable& table = queue.instance().table;
    const Taken all = take(queue, queue.instance().max_rows());
    if (!triton_ && head.deadline != kNever && table.known()) {
      const std::size_t bucket = queue.instance().bucket_for(all.rows);
      latest = head.deadline - view.predicted(queue, bucket, view.device.slice(*slice).group) - table.margin();
    }
    if (latest > now) {
      out.wake_up = std::min({out.wake_up, ripe.wake_up, latest});
      return;
    }
    ripe.batch = all;
  }
  candidates_.push_back({&queue, ripe.batch, *slice, head.deadline, head.arrival.arrival, head.sequence});
}

// Whether the first requests are turned away because a larger batch, which would end too late for them, saves more.
bool Temporal::drop_heads(const View& view, const Candidate& candidate, const Taken& batch, TimePoint begins,
                          TimePoint now, Decisions& out) {
  const ShapeQueue& queue = *candidate.queue;
  const Instance& instance = queue.instance();
  if (!instance.params->dynamic_batching || !may_reject_early(queue, now)) {
    return false;
  }
  Pace pace;
  pace.group = view.device.slice(candidate.slice).group;
  for (const Candidate& other : candidates_) {
    if (other.queue != &queue && other.queue->instance().table.known()) {
      const std::size_t bucket = other.queue->instance().bucket_for(other.batch.rows);
      pace.between += view.predicted(*other.queue, bucket, view.device.slice(other.slice).group);
    }
  }
  const auto sacrifice = outlook_.better(view, queue, instance.bucket_for(batch.rows), pace, begins);
  if (!sacrifice) {
    return false;
  }
  give_up(queue, std::next(queue.entries().begin(), sacrifice->lost), out);
  return true;
}

bool Temporal::next_may_go(const View& view, std::size_t slice, TimePoint now) const {
  return view.device.in_flight() == 0 || (slice == last_slice_ && view.launchable(slice, now));
}

}  // namespace

Result<std::unique_ptr<Policy>> make_temporal(const PolicyOptions& options) {
  bool triton = false;
  for (const auto& [key, value] : options) {
    if (key != "triton" || (value != "0" && value != "1")) {
      std::string option = key;
      option.append("=").append(value);
      return invalid_argument("policy temporal: option '" + option + "' is not triton=0 or triton=1");
    }
    triton = value == "1";
  }
  return std::unique_ptr<Policy>(std::make_unique<Temporal>(triton));
}

}  // namespace tessera::sched
