#include "sched/batching.h"

#include <algorithm>

namespace tessera::sched {
namespace {

constexpr Duration kPredictionsAgeAfter = std::chrono::seconds(1);
constexpr std::uint32_t kSamplesOfAShape = 4;

// The head of the instance's next queue: what closes a batch of `queue`.
const ShapeQueue::Entry* rival_of(const ShapeQueue& queue) {
  const ShapeQueue::Entry* rival = nullptr;
  for (const auto& [shape, other] : queue.instance().queues) {
    if (other.get() != &queue && !other->empty() && (rival == nullptr || *other->entries().begin() < *rival)) {
      rival = &*other->entries().begin();
    }
  }
  return rival;
}

}  // namespace

Taken take(const ShapeQueue& queue, std::int64_t max_rows) { return take(queue, queue.entries().begin(), max_rows); }

Taken take(const ShapeQueue& queue, ShapeQueue::Entries::const_iterator first, std::int64_t max_rows) {
  const ModelParams& params = *queue.instance().params;
  // Where answers keep the order of arrival, nothing is joined to a batch past a request of another shape.
  const ShapeQueue::Entry* rival = params.preserve_ordering ? rival_of(queue) : nullptr;
  Taken taken;
  for (auto entry = first; entry != queue.entries().end(); ++entry) {
    const std::int32_t rows = entry->request->arrival.rows;
    if (taken.requests > 0 && (taken.rows + rows > max_rows || (rival != nullptr && *rival < *entry))) {
      break;
    }
    ++taken.requests;
    taken.rows += rows;
    if (!params.dynamic_batching) {
      break;
    }
  }
  return taken;
}

bool may_reject_early(const ShapeQueue& queue, TimePoint now) {
  const Instance& instance = queue.instance();
  const ModelParams& params = *instance.params;
  if (!params.slo || params.slo_policy != SloPolicy::kReject || !instance.table.known() ||
      !instance.profile.confident()) {
    return false;
  }
  if (instance.base_shape != queue.shape() && queue.factor_samples() < kSamplesOfAShape) {
    return false;
  }
  return instance.last_launch != TimePoint::min() && now - instance.last_launch < kPredictionsAgeAfter;
}

bool leads_its_instance(const ShapeQueue& queue) {
  const auto& queues = queue.instance().queues;
  return queues.size() == 1 || std::all_of(queues.begin(), queues.end(), [&](const auto& entry) {
           const ShapeQueue& other = *entry.second;
           return &other == &queue || other.empty() || *queue.entries().begin() < *other.entries().begin();
         });
}

bool is_closed(const ShapeQueue& queue) {
  return queue.instance().params->preserve_ordering && rival_of(queue) != nullptr;
}

bool may_be_next(const ShapeQueue& queue) {
  const Instance& instance = queue.instance();
  if (instance.queues.size() == 1) {
    return true;
  }
  if (instance.params->preserve_ordering) {
    return leads_its_instance(queue);
  }
  const ShapeQueue::Entry& head = *queue.entries().begin();
  if (head.level == 1 && !head.delayed) {
    return true;  // nothing comes before that
  }
  return std::all_of(instance.queues.begin(), instance.queues.end(), [&](const auto& entry) {
    const ShapeQueue& other = *entry.second;
    return other.empty() || !other.entries().begin()->outranks(head);
  });
}

Ripe size_or_delay(const ShapeQueue& queue, TimePoint now) {
  const ModelParams& params = *queue.instance().params;
  if (!params.dynamic_batching) {
    return {take(queue, 1), kNever};
  }
  const auto& preferred = params.preferred_batch_sizes;
  const std::int32_t max_rows = queue.instance().max_rows();
  const std::int32_t largest = preferred.empty() ? max_rows : *std::max_element(preferred.begin(), preferred.end());
  const ShapeQueue::Entry* rival = rival_of(queue);

  Taken pending;
  Taken at_preferred;
  TimePoint oldest = kNever;
  bool closed = false;
  for (const ShapeQueue::Entry& entry : queue.entries()) {
    const Arrival& arrival = entry.request->arrival;
    if ((rival != nullptr && *rival < entry) || pending.rows + arrival.rows > max_rows) {
      closed = true;
      break;
    }
    ++pending.requests;
    pending.rows += arrival.rows;
    oldest = std::min(oldest, arrival.arrival);
    const bool is_preferred = preferred.empty()
                                  ? pending.rows == max_rows
                                  : std::find(preferred.begin(), preferred.end(), pending.rows) != preferred.end();
    if (is_preferred) {
      at_preferred = pending;
    }
  }
  closed = closed || (rival != nullptr && pending.requests == static_cast<std::int32_t>(queue.size()));
  const bool waits = params.max_queue_delay > Duration{0};
  const TimePoint delay_over = add_saturating(oldest, params.max_queue_delay);
  if (at_preferred.requests > 0 && !(waits && delay_over <= now)) {
    return {at_preferred, kNever};
  }
  if (closed || !waits || delay_over <= now || pending.rows >= largest) {
    return {pending, kNever};
  }
  return {{}, delay_over};
}

Taken largest_in_time(const View& view, const ShapeQueue& queue, Taken batch, std::size_t group, TimePoint start) {
  const Instance& instance = queue.instance();
  if (!instance.table.known()) {
    return batch;
  }
  const TimePoint deadline = queue.head().deadline;
  for (std::size_t bucket = instance.bucket_for(batch.rows) + 1; bucket-- > 0;) {
    if (add_saturating(start, view.predicted(queue, bucket, group)) > deadline) {
      continue;
    }
    const std::int32_t rows = std::min(batch.rows, instance.params->buckets[bucket]);
    const Taken part = take(queue, rows);
    if (part.rows <= rows) {
      return part;
    }
  }
  return batch;
}

bool turned_away_in(const View& view, const ShapeQueue& queue, std::size_t slice, TimePoint now, Decisions& out) {
  const Request& head = queue.head();
  if (head.deadline == kNever || !may_reject_early(queue, now)) {
    return false;
  }
  const std::size_t bucket = queue.instance().bucket_for(head.arrival.rows);
  const Duration latency = view.predicted(queue, bucket, view.device.slice(slice).group);
  if (add_saturating(view.device.start_on(slice, now), latency) > head.deadline) {
    out.hopeless.push_back(head.arrival.request);
    return true;
  }
  const TimePoint too_late = head.deadline - latency + Duration{1};
  out.wake_up = std::min(out.wake_up, too_late > now ? too_late : kNever);
  return false;
}

std::optional<std::size_t> usable_slice(const View& view, const Instance& instance, std::size_t wanted) {
  const Occupancy& device = view.device;
  wanted = instance.only_slice.value_or(wanted);
  const Slice within = device.slice(wanted).slice;
  const auto usable = [&](std::size_t slice) {
    if (device.slice(slice).blocked) {
      return false;
    }
    for (std::size_t lane = 0; lane < instance.lanes.size(); ++lane) {
      if (instance.homed(lane, slice, 0)) {
        return true;
      }
    }
    return false;
  };
  if (usable(wanted)) {
    return wanted;
  }
  for (std::size_t slice = device.slices().size(); slice-- > 0;) {
    const Slice candidate = device.slice(slice).slice;
    if (candidate.first >= within.first && candidate.end() <= within.end() && usable(slice)) {
      return slice;
    }
  }
  return std::nullopt;
}

std::optional<BatchDecision> as_decision(const View& view, const ShapeQueue& queue, Taken batch, std::size_t slice) {
  const Instance& instance = queue.instance();
  // A bucket larger than the batch will do while the plan for the fitting one is not homed yet.
  for (std::size_t bucket = instance.bucket_for(batch.rows); bucket < instance.params->buckets.size(); ++bucket) {
    if (const auto lane = instance.free_lane(slice, bucket)) {
      return BatchDecision{instance.id,
                           queue.shape(),
                           batch.requests,
                           instance.params->buckets[bucket],
                           LaneIndex{static_cast<std::uint16_t>(*lane)},
                           view.device.slice(slice).slice};
    }
  }
  // Or a part of the batch in a smaller one.
  for (std::size_t bucket = instance.bucket_for(batch.rows); bucket-- > 0;) {
    const Taken part = take(queue, instance.params->buckets[bucket]);
    const auto lane = part.rows <= instance.params->buckets[bucket] ? instance.free_lane(slice, bucket) : std::nullopt;
    if (lane) {
      return BatchDecision{instance.id,
                           queue.shape(),
                           part.requests,
                           instance.params->buckets[bucket],
                           LaneIndex{static_cast<std::uint16_t>(*lane)},
                           view.device.slice(slice).slice};
    }
  }
  return std::nullopt;
}

}  // namespace tessera::sched
