// What a policy sees: the device, its instances and what waits, maintained incrementally by the scheduler.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "sched/instance.h"
#include "sched/occupancy.h"

namespace tessera::sched {

// Owned by the scheduler, which alone changes it; policies get it const.
class View {
 public:
  View(DeviceShape shape, std::uint16_t committed_per_atom, Duration run_ahead)
      : device(std::move(shape), static_cast<std::uint16_t>(1 + committed_per_atom)), run_ahead_(run_ahead) {}

  Occupancy device;
  std::vector<std::unique_ptr<Instance>> instances;  // those that are up, in no particular order
  std::vector<ShapeQueue*> active;                   // queues with waiting requests, likewise
  std::vector<const Instance*> reserving;            // those that have a reserved share, in the order of instances
  std::uint64_t instances_version = 0;               // changes when one comes, goes, or its table is read anew
  std::uint64_t use_version = 0;                     // changes when one is used again after a pause

  std::size_t slots() const { return slots_; }
  std::size_t take_slot() {
    if (free_slots_.empty()) {
      return slots_++;
    }
    const std::size_t slot = free_slots_.back();
    free_slots_.pop_back();
    return slot;
  }
  void give_slot(std::size_t slot) { free_slots_.push_back(slot); }

  // A launch in that slice would begin now, or, where it may be committed behind a running one, very soon.
  bool launchable(std::size_t slice, TimePoint now) const {
    return device.idle(slice) || (device.open(slice) && device.start_on(slice, now) - now <= run_ahead_);
  }
  // When a slice that is not launchable may become so without any event: kNever for run-ahead 0.
  TimePoint run_ahead_at(std::size_t slice, TimePoint now) const {
    if (!device.open(slice) || device.idle(slice)) {
      return kNever;
    }
    const TimePoint at = device.start_on(slice, now) - run_ahead_;
    return at > now ? at : kNever;
  }

  Duration predicted(const ShapeQueue& queue, std::size_t bucket, std::size_t group) const {
    return scaled(queue.instance().table.at(bucket, group), queue.factor());
  }
  // Time of a run while that share of the atoms is busy, over its predicted time.
  double beside(const Instance& instance, std::size_t group, double busy) const {
    const double others = device.others_share(group);
    return instance.co_run.factor(std::min(busy, others)) / instance.co_run.usual(others);
  }
  static Duration scaled(Duration latency, double factor) {
    return factor == 1.0 ? latency
                         : Duration(static_cast<Duration::rep>(static_cast<double>(latency.count()) * factor));
  }

 private:
  Duration run_ahead_;
  std::size_t slots_ = 0;
  std::vector<std::size_t> free_slots_;
};

// How many requests from the head of a queue on, or from `first` on, fit into `max_rows`, and their rows together. At
// least one request, whose rows are never more than the model's maximum; where answers keep the order of arrival, none
// past a waiting request of another shape.
struct Taken {
  std::int32_t requests = 0;
  std::int32_t rows = 0;
};
Taken take(const ShapeQueue& queue, std::int64_t max_rows);
Taken take(const ShapeQueue& queue, ShapeQueue::Entries::const_iterator first, std::int64_t max_rows);

}  // namespace tessera::sched
