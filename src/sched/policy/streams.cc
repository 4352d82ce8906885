// The whole device for everybody at once: a batch begins as soon as a lane of its model is free, whatever else runs.
//
// So do servers behave that give every model a stream of its own and leave the rest to the processor, and processes
// under default MPS. How long a batch waits to grow is Triton's size-or-delay rule. Latencies depend on whoever runs
// beside, so none but the shortest ever seen is relied on.
#include <algorithm>
#include <tuple>
#include <vector>

#include "sched/batching.h"
#include "sched/policy/registry.h"

namespace tessera::sched {
namespace {

// Owned by the scheduler.
class Streams final : public Policy {
 public:
  std::string_view name() const override { return "streams"; }
  bool waits_for_lanes_alone() const override { return true; }
  void decide(const View& view, TimePoint now, Decisions& out) override;

 private:
  void want_whole_device(const View& view, Decisions& out);
  static bool is_hopeless(const View& view, const ShapeQueue& queue, TimePoint now, Decisions& out);
  static std::optional<BatchDecision> batch_of(const View& view, const ShapeQueue& queue, TimePoint now,
                                               Decisions& out);

  std::uint64_t seen_instances_ = 0;
  std::vector<const ShapeQueue*> order_;
};

void Streams::decide(const View& view, TimePoint now, Decisions& out) {
  want_whole_device(view, out);
  order_.assign(view.active.begin(), view.active.end());
  std::sort(order_.begin(), order_.end(), [](const ShapeQueue* a, const ShapeQueue* b) {
    const auto order = [](const ShapeQueue& q) { return std::tuple(q.head().deadline, q.head().sequence); };
    return order(*a) < order(*b);
  });
  for (const ShapeQueue* queue : order_) {
    if (is_hopeless(view, *queue, now, out)) {
      out.hopeless.push_back(queue->head().arrival.request);
      continue;
    }
    if (!leads_its_instance(*queue)) {
      continue;
    }
    if (auto decision = batch_of(view, *queue, now, out)) {
      out.launches.push_back(*decision);
      return;
    }
  }
}

void Streams::want_whole_device(const View& view, Decisions& out) {
  if (seen_instances_ == view.instances_version) {
    return;
  }
  seen_instances_ = view.instances_version;
  for (const auto& instance : view.instances) {
    out.wanted_homes.push_back({instance->id, view.device.shape().whole()});
  }
}

bool Streams::is_hopeless(const View& view, const ShapeQueue& queue, TimePoint now, Decisions& out) {
  const Request& head = queue.head();
  if (head.deadline == kNever || !may_reject_early(queue, now)) {
    return false;
  }
  const Instance& instance = queue.instance();
  const Duration fastest = view.scaled(instance.table.fastest(instance.bucket_for(head.arrival.rows)), queue.factor());
  const TimePoint too_late = head.deadline - fastest + Duration{1};
  out.wake_up = std::min(out.wake_up, too_late > now ? too_late : kNever);
  return too_late <= now;
}

std::optional<BatchDecision> Streams::batch_of(const View& view, const ShapeQueue& queue, TimePoint now,
                                               Decisions& out) {
  const Instance& instance = queue.instance();
  const auto slice = usable_slice(view, instance, view.device.whole());
  if (!slice || !instance.any_free_lane() || !view.device.open(*slice)) {
    return std::nullopt;
  }
  const Ripe ripe = size_or_delay(queue, now);
  if (ripe.batch.requests == 0) {
    out.wake_up = std::min(out.wake_up, ripe.wake_up);
    return std::nullopt;
  }
  return as_decision(view, queue, ripe.batch, *slice);
}

}  // namespace

Result<std::unique_ptr<Policy>> make_streams(const PolicyOptions& options) {
  if (!options.empty()) {
    return invalid_argument("policy streams: it has no options, got '" + options.begin()->first + "'");
  }
  return std::unique_ptr<Policy>(std::make_unique<Streams>());
}

}  // namespace tessera::sched
