// What policies share: which batch of a queue could leave now, and which requests are lost.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"
#include "sched/policy.h"
#include "sched/view.h"

namespace tessera::sched {

// Whether a request may be turned away before its deadline because of a prediction: only where its model asks for it,
// enough runs were seen, and one ran lately (so that a prediction which became wrong is found out).
bool may_reject_early(const ShapeQueue& queue, TimePoint now);

// The queue whose head is first among all shapes of the instance.
bool leads_its_instance(const ShapeQueue& queue);

// Whether a batch of the queue may be next: no other shape of the instance has a head of better priority, or one that
// has not outstayed its queue policy while this one's has; where answers keep the order of arrival, it has to lead.
bool may_be_next(const ShapeQueue& queue);

// Whether a batch of the queue cannot grow by waiting: what comes is answered after another shape's request.
bool is_closed(const ShapeQueue& queue);

// Triton's size-or-delay rule (its dynamic batcher, as the model configuration documents it): a batch leaves at a
// preferred size (the maximum where none is given), when its oldest request has waited max_queue_delay, when it cannot
// grow, or when the next request has another shape.
struct Ripe {
  Taken batch;                 // what would leave; nothing while it is to wait
  TimePoint wake_up = kNever;  // when the delay of a waiting batch is over
};
Ripe size_or_delay(const ShapeQueue& queue, TimePoint now);

// The largest part of `batch` (from the head on) that, begun at `start` in slices of that group, ends before its first
// deadline; all of it where not even the head can.
Taken largest_in_time(const View& view, const ShapeQueue& queue, Taken batch, std::size_t group, TimePoint start);

// For policies that tie a model to a slice: whether its head is turned away, because it cannot be in time there any
// more. Otherwise the wake-up is at the latest when it will be.
bool turned_away_in(const View& view, const ShapeQueue& queue, std::size_t slice, TimePoint now, Decisions& out);

// The slice that a policy of whole devices uses for an instance: the wanted one where it is homed and not lent, else
// the largest within it that is; nothing while there is none.
std::optional<std::size_t> usable_slice(const View& view, const Instance& instance, std::size_t wanted);

// A batch as a decision, where a lane has the plan for it.
std::optional<BatchDecision> as_decision(const View& view, const ShapeQueue& queue, Taken batch, std::size_t slice);

}  // namespace tessera::sched
