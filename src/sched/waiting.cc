#include "sched/waiting.h"

#include <algorithm>
#include <utility>

#include "sched/instance.h"

namespace tessera::sched {

ShapeQueue::Entry ShapeQueue::entry_of(Request& request) const {
  // Where answers must keep the order of arrival, deadlines may not change it.
  const TimePoint deadline = instance_.params->preserve_ordering ? TimePoint{} : request.deadline;
  return {request.level, request.delayed, deadline, request.sequence, &request};
}

void ShapeQueue::observe_factor(double factor) {
  ++factor_samples_;
  factor_ += (factor - factor_) * std::max(0.1, 1.0 / factor_samples_);
  ++version_;
}

void ShapeQueue::add(Request& request) {
  TESSERA_CHECK(request.queue == nullptr);
  // Most requests come with the latest deadline so far: the hint makes that case cheap.
  const std::size_t before = entries_.size();
  entries_.insert(entries_.end(), entry_of(request));
  TESSERA_CHECK(entries_.size() == before + 1);
  request.queue = this;
  rows_ += request.arrival.rows;
  ++version_;
}

void ShapeQueue::remove(Request& request) {
  TESSERA_CHECK(request.queue == this);
  TESSERA_CHECK(entries_.erase(entry_of(request)) == 1);
  request.queue = nullptr;
  rows_ -= request.arrival.rows;
  ++version_;
}

void Moments::update(Request& request) {
  if (request.next_moment() == kNever) {
    remove(request);
    return;
  }
  if (request.moment_index == 0) {
    heap_.push_back(nullptr);
    place(heap_.size() - 1, &request);
  }
  sift_up(request.moment_index - 1);
  sift_down(request.moment_index - 1);
}

void Moments::remove(Request& request) {
  if (request.moment_index == 0) {
    return;
  }
  const std::size_t index = request.moment_index - 1;
  TESSERA_CHECK(heap_[index] == &request);
  request.moment_index = 0;
  Request* last = heap_.back();
  heap_.pop_back();
  if (last == &request) {
    return;
  }
  place(index, last);
  sift_up(index);
  sift_down(last->moment_index - 1);
}

void Moments::sift_up(std::size_t index) {
  Request* moving = heap_[index];
  while (index > 0 && before(*moving, *heap_[(index - 1) / 2])) {
    place(index, heap_[(index - 1) / 2]);
    index = (index - 1) / 2;
  }
  place(index, moving);
}

void Moments::sift_down(std::size_t index) {
  Request* moving = heap_[index];
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) {
      break;
    }
    if (child + 1 < heap_.size() && before(*heap_[child + 1], *heap_[child])) {
      ++child;
    }
    if (!before(*heap_[child], *moving)) {
      break;
    }
    place(index, heap_[child]);
    index = child;
  }
  place(index, moving);
}

}  // namespace tessera::sched
