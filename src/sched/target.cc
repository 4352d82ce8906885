#include "sched/target.h"

#include <algorithm>

#include "sched/batching.h"
#include "sched/guard.h"

namespace tessera::sched {
namespace {

constexpr double kMuchAlone = 0.25;     // of the device
constexpr double kNearlyNothing = 0.1;  // likewise
constexpr double kMuchMore = 1.5;       // than if everybody got the same part of what it asks
constexpr double kTightPart = 0.25;     // of an objective: what the largest batch takes on the whole device

}  // namespace

double score_of(std::int64_t rows, Duration latency, std::int32_t processors) {
  return static_cast<double>(rows) * 1e9 / (std::max(1.0, ns(latency)) * processors);
}

Headroom::Headroom(const Instance& instance, Duration margin, double rows_per_second, std::size_t at_once)
    : margin_ns_(kMargins * ns(margin)),
      lane_ns_per_row_(kLaneUse * static_cast<double>(std::min<std::size_t>(instance.params->lanes, at_once)) * 1e9 /
                       rows_per_second) {}

bool Headroom::leaves_time(Duration latency, std::int64_t rows, Duration slack) const {
  return ns(latency) + margin_ns_ <= (rows == 1 ? kPartForOneRow : kPartOfSlack) * ns(slack);
}

bool Headroom::leaves_lanes(Duration latency, std::int64_t rows) const {
  return ns(latency) <= lane_ns_per_row_ * static_cast<double>(rows);
}

const Target& Targets::last(const ShapeQueue& queue) const {
  static const Target kNone;
  const bool there = queue.slot < kept_.size() && kept_[queue.slot].serial == queue.serial();
  return there ? kept_[queue.slot].target : kNone;
}

double Targets::processors_for(const ShapeQueue& queue, TimePoint now) const {
  const Instance& instance = queue.instance();
  const double score = instance.params->slo ? last(queue).score : 0;
  return score > 0 ? instance.rate.per_second(now) / score / static_cast<double>(instance.queues.size()) : 0;
}

bool Targets::has_device_alone(const View& view, const ShapeQueue& queue, double demand, TimePoint now) const {
  const Instance& instance = queue.instance();
  const ModelParams& params = *instance.params;
  const std::size_t whole = view.device.groups() - 1;
  const std::size_t largest = params.dynamic_batching ? params.buckets.size() - 1 : 0;
  if (!params.slo || params.max_share < 1.0 || !instance.groups.contains(whole) ||
      ns(view.predicted(queue, largest, whole)) < kTightPart * ns(*params.slo)) {
    return false;
  }
  for (const auto& other : view.instances) {
    // Smaller batches leave its part sooner; and what has no objective asks for more than `demand` says.
    const bool needs_room = other->params->reserved_share > 0 ||
                            (!other->params->slo && (other->waiting > 0 || !other->is_seldom_called(now)));
    if (other.get() != &instance && needs_room) {
      return false;
    }
  }
  double own = 0;
  for (const auto& [shape, each] : instance.queues) {
    own += processors_for(*each, now);
  }
  own /= view.device.group_processors(whole);
  return own >= kMuchAlone && demand - own <= kNearlyNothing;
}

void Targets::aim(const View& view, const ShapeQueue& queue, const Pressure& pressure, Target& target,
                  TimePoint now) const {
  const Instance& instance = queue.instance();
  const ModelParams& params = *instance.params;
  target.known = instance.table.known();
  const bool alone = target.known && has_device_alone(view, queue, pressure.demand, now);  // by the last target's score
  target.score = 0;
  target.bucket = 0;
  const double arriving = std::max(1e-3, instance.rate.per_second(now));
  // Of what the device cannot give, all plan alike; but who gets much more than so, for it asks for little more than
  // its part, is to have the lanes for that.
  const double alike = 1.0 / std::max(1.0, pressure.demand);
  target.rate = arriving * (pressure.given >= kMuchMore * alike ? pressure.given : alike);
  const std::size_t whole = view.device.groups() - 1;
  target.least_group = alone || pressure.turns ? whole : instance.groups.first;
  if (!target.known) {
    return;
  }
  const std::size_t buckets = params.dynamic_batching ? params.buckets.size() : 1;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    const std::int32_t rows = std::min(params.buckets[bucket], instance.max_rows());
    const Duration collecting{static_cast<Duration::rep>((rows - 1) / arriving * 1e9)};
    for (std::size_t group = target.least_group; group < instance.groups.end; ++group) {
      const Duration latency = view.predicted(queue, bucket, group);
      if (params.slo) {
        const Headroom headroom(instance, bounded_margin(instance.table.margin(), *params.slo, latency), target.rate,
                                view.device.at_once(group));
        if (!headroom.leaves(latency, rows, *params.slo - collecting)) {
          continue;
        }
      }
      // Groups come smallest first: a larger one is taken where it is hardly less efficient, for it is faster.
      const double score = score_of(rows, latency, view.device.group_processors(group));
      if (score > target.score * (bucket == target.bucket ? kSimilarScore : 1.0)) {
        target.bucket = bucket;
        target.group = group;
        target.score = score;
      }
    }
  }
  if (target.score == 0) {
    aim_without_headroom(view, queue, arriving, target);
  }
}

double Targets::best_score(const View& view, const ShapeQueue& queue, double arriving, const GroupRange& groups) {
  const Instance& instance = queue.instance();
  const ModelParams& params = *instance.params;
  const std::size_t buckets = params.dynamic_batching ? params.buckets.size() : 1;
  double best = 0;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    const std::int32_t rows = std::min(params.buckets[bucket], instance.max_rows());
    const Duration collecting{static_cast<Duration::rep>((rows - 1) / arriving * 1e9)};
    for (std::size_t group = groups.first; group < groups.end; ++group) {
      Duration latency = view.predicted(queue, bucket, group);
      if (view.device.others_share(group) == 0) {
        const auto alone =
            instance.profile.without_neighbours(params.buckets[bucket], view.device.group_processors(group));
        latency = alone ? View::scaled(*alone, queue.factor()) : latency;
      }
      const Headroom headroom(instance, bounded_margin(instance.table.margin(), *params.slo, latency), arriving,
                              view.device.at_once(group));
      if (headroom.leaves(latency, rows, *params.slo - collecting)) {
        best = std::max(best, score_of(rows, latency, view.device.group_processors(group)));
      }
    }
  }
  return best;
}

// What answers most rows a second in one lane, of what may still be in time; else the fastest batch of one.
void Targets::aim_without_headroom(const View& view, const ShapeQueue& queue, double arriving, Target& target) {
  const Instance& instance = queue.instance();
  const ModelParams& params = *instance.params;
  const std::size_t buckets = params.dynamic_batching ? params.buckets.size() : 1;
  double most = 0;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    const std::int32_t rows = std::min(params.buckets[bucket], instance.max_rows());
    const double collecting = (rows - 1) / arriving * 1e9;
    for (std::size_t group = target.least_group; group < instance.groups.end; ++group) {
      const double latency = ns(view.predicted(queue, bucket, group));
      const double throughput = rows / std::max(1.0, latency);
      const bool in_time = bucket == 0 || collecting + latency <= ns(*params.slo);
      if (in_time && throughput > most) {
        most = throughput;
        target.bucket = bucket;
        target.group = group;
        target.score = score_of(rows, view.predicted(queue, bucket, group), view.device.group_processors(group));
      }
    }
  }
}

void Targets::set_times(const View& view, const ShapeQueue& queue, Target& target) {
  const Instance& instance = queue.instance();
  const ModelParams& params = *instance.params;
  const Request& head = queue.head();
  target.rows = params.dynamic_batching ? std::min<std::int64_t>(queue.rows(), instance.max_rows()) : head.arrival.rows;
  const bool closed = is_closed(queue);
  if (closed) {
    target.rows = take(queue, instance.max_rows()).rows;
  }
  target.deadline = head.deadline;
  target.latest = head.deadline;
  target.margin = Duration{0};
  if (!target.known || !params.slo) {
    target.full = true;
    return;
  }
  target.least_bucket = instance.bucket_for(head.arrival.rows);
  target.fastest = view.scaled(instance.table.fastest(target.least_bucket), queue.factor());
  target.full = closed || target.rows >= params.buckets[target.bucket];
  const std::size_t bucket = std::max(std::min(instance.bucket_for(target.rows), target.bucket), target.least_bucket);
  const Duration latency = view.predicted(queue, bucket, target.group);
  target.margin = bounded_margin(instance.table.margin(), *params.slo, latency);
  target.latest = target.deadline - latency - target.margin;
  if (params.dynamic_batching && params.max_queue_delay > Duration{0}) {
    target.latest = std::min(target.latest, add_saturating(head.arrival.arrival, params.max_queue_delay));
  }
}

}  // namespace tessera::sched
