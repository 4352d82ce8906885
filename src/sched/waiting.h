// Requests that wait: the record of one, the ordered queue of those that may share a batch, and the times at which
// something has to be done about them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <set>
#include <vector>

#include "base/check.h"
#include "base/ids.h"
#include "base/time.h"
#include "sched/events.h"

namespace tessera::sched {

struct Instance;
class ShapeQueue;

// Owned by the scheduler while the request waits.
struct Request {
  Arrival arrival;
  Instance* instance = nullptr;
  ShapeQueue* queue = nullptr;  // nullptr until its input is there
  std::uint32_t level = 1;      // its priority, 1 the highest
  bool parked = false;          // in no queue: there is no bucket yet that holds it
  bool delayed = false;         // has outstayed a queue policy that delays: behind all that have not
  std::uint64_t sequence = 0;   // order of arrival
  TimePoint deadline = kNever;  // what the batch must end by to count
  TimePoint ends = kNever;      // when the wait ends with a rejection
  RejectReason ends_with = RejectReason::kTimeout;
  TimePoint delays = kNever;     // when `delayed` becomes true
  std::size_t moment_index = 0;  // place in Moments; 0: none
  double processor_ns = 0;       // of work, as predicted when it came

  TimePoint next_moment() const { return delays < ends ? delays : ends; }
};

// The waiting requests of one instance that have equal shapes, in the order in which they are to be served: priority,
// then deadline, then arrival. Owned by the scheduler; policies see it const.
class ShapeQueue {
 public:
  struct Entry {
    std::uint32_t level;
    bool delayed;
    TimePoint deadline;
    std::uint64_t sequence;
    Request* request;

    // Before `other` whatever their deadlines.
    bool outranks(const Entry& other) const {
      return level != other.level ? level < other.level : !delayed && other.delayed;
    }
    friend bool operator<(const Entry& a, const Entry& b) {
      if (a.level != b.level || a.delayed != b.delayed) {
        return a.outranks(b);
      }
      return a.deadline != b.deadline ? a.deadline < b.deadline : a.sequence < b.sequence;
    }
  };
  using Entries = std::pmr::set<Entry>;

  ShapeQueue(Instance& instance, ShapeId shape, std::uint64_t serial, std::pmr::memory_resource& memory)
      : instance_(instance), shape_(shape), serial_(serial), entries_(&memory) {}
  ShapeQueue(const ShapeQueue&) = delete;
  ShapeQueue& operator=(const ShapeQueue&) = delete;

  Instance& instance() const { return instance_; }
  ShapeId shape() const { return shape_; }
  std::uint64_t serial() const { return serial_; }  // of no other queue, ever
  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  std::int64_t rows() const { return rows_; }
  const Entries& entries() const { return entries_; }
  const Request& head() const { return *entries_.begin()->request; }
  // Changes with every request that comes or goes: what was derived from the queue is stale.
  std::uint64_t version() const { return version_; }

  // Latency of this shape relative to the instance's profile, learned.
  double factor() const { return factor_; }
  std::uint32_t factor_samples() const { return factor_samples_; }
  void guess_factor(double factor) { factor_ = factor; }
  void observe_factor(double factor);

  void add(Request& request);
  void remove(Request& request);

  std::size_t active_index = 0;  // place in View::active plus 1; 0: not there
  std::size_t slot = 0;          // small number of no other queue now: where policies keep what they derived

 private:
  Entry entry_of(Request& request) const;

  Instance& instance_;
  ShapeId shape_;
  std::uint64_t serial_;
  Entries entries_;
  std::int64_t rows_ = 0;
  std::uint64_t version_ = 1;
  double factor_ = 1.0;
  std::uint32_t factor_samples_ = 0;
};

// Requests by their next moment, earliest first: a binary heap that knows where each request is, so that one can leave
// from the middle. Owned by the scheduler.
class Moments {
 public:
  bool empty() const { return heap_.empty(); }
  TimePoint earliest() const { return heap_.empty() ? kNever : heap_.front()->next_moment(); }
  Request& top() const { return *heap_.front(); }

  // To be called after next_moment() became known or changed; requests without a moment are left out.
  void update(Request& request);
  void remove(Request& request);

 private:
  static bool before(const Request& a, const Request& b) {
    return a.next_moment() != b.next_moment() ? a.next_moment() < b.next_moment() : a.sequence < b.sequence;
  }
  void place(std::size_t index, Request* request) {
    heap_[index] = request;
    request->moment_index = index + 1;
  }
  void sift_up(std::size_t index);
  void sift_down(std::size_t index);

  std::vector<Request*> heap_;
};

}  // namespace tessera::sched
