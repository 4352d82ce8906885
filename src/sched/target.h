// What a waiting queue aims at: the batch and slice size that answer most rows per processor-second among those that
// its arrival rate can fill in time, and what follows for when it has to leave.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.h"
#include "sched/view.h"

namespace tessera::sched {

// Of two slices with scores this close the faster one is taken.
inline constexpr double kSimilarScore = 0.97;

inline double ns(Duration span) { return static_cast<double>(span.count()); }

// Rows per processor-second: what slices and batches are compared by.
double score_of(std::int64_t rows, Duration latency, std::int32_t processors);

// What of an objective a batch may plan to use where there is a choice. The rest is for waiting and for runs that take
// longer: a part of the slack, more than the learned margin, and lanes that are not busy all the time. Whoever waits
// for a slice while its batch fills loses nothing by it; a single row does, so it is left more (decision 087).
// Immutable.
class Headroom {
 public:
  // `at_once`: batches that the device takes at a time, in slices of that size.
  Headroom(const Instance& instance, Duration margin, double rows_per_second, std::size_t at_once);
  bool leaves(Duration latency, std::int64_t rows, Duration slack) const {
    return leaves_time(latency, rows, slack) && leaves_lanes(latency, rows);
  }
  bool leaves_time(Duration latency, std::int64_t rows, Duration slack) const;
  bool leaves_lanes(Duration latency, std::int64_t rows) const;

 private:
  static constexpr double kPartOfSlack = 0.85;
  static constexpr double kPartForOneRow = 0.6;
  static constexpr double kMargins = 1.2;
  static constexpr double kLaneUse = 0.4;

  double margin_ns_;
  double lane_ns_per_row_;  // how long a run may take for each of its rows
};

// What is derived from a queue and kept until the queue, the model's predictions or its rate change.
struct Target {
  bool known = false;  // the model's latency is
  std::size_t bucket = 0;
  std::size_t group = 0;
  std::size_t least_group = 0;   // smaller slices are not used
  double score = 0;              // rows per processor-second
  double rate = 0;               // rows per second to be served
  std::int64_t rows = 0;         // that wait, at most the model's largest batch
  bool full = false;             // they reach the bucket
  std::size_t least_bucket = 0;  // that holds the head
  TimePoint deadline = kNever;   // of the head
  TimePoint latest = kNever;     // latest start
  Duration margin{0};
  Duration fastest{0};  // of the head alone, in any slice
  bool lost = false;    // the head cannot be in time by what is predicted; set anew in every decision
};

// What models with objectives ask of the device. Value.
struct Pressure {
  double demand = 0;   // all of them, as parts of it
  double given = 1.0;  // the part of what this model asks that the device can give it; only that needs lanes
  bool turns = false;  // all take turns on the whole device (turns.h)
};

// Owned by its policy.
//
// A model that takes much of the device, has it nearly for itself, and has an objective that is tight against its
// largest batch there, runs on the whole device: what smaller slices would save is nobody's gain, and one fast server
// makes those behind a burst wait less than several slow ones.
class Targets {
 public:
  // `pressure_on`: the Pressure on an instance, asked for only where the target is derived anew.
  template <typename PressureOn>
  Target& of(const View& view, const ShapeQueue& queue, const PressureOn& pressure_on, TimePoint now) {
    Kept& kept = kept_of(view, queue);
    const Instance& instance = queue.instance();
    if (kept.table_version != instance.table.version() || now >= kept.until) {
      kept.table_version = instance.table.version();
      kept.until = now + kAge;
      kept.version = 0;
      aim(view, queue, pressure_on(instance), kept.target, now);
    }
    const bool by_others = instance.queues.size() > 1 && instance.params->preserve_ordering;
    if (kept.version != queue.version() || by_others) {
      kept.version = queue.version();
      set_times(view, queue, kept.target);
    }
    return kept.target;
  }
  // The last one derived, however old; score 0 where there is none.
  const Target& last(const ShapeQueue& queue) const;
  // Processors that the queue's arrivals take, by that one; nothing for a model without an objective.
  double processors_for(const ShapeQueue& queue, TimePoint now) const;
  // The best score of a batch in `groups`, were that the rate at which rows arrive for the model; 0: none leaves
  // headroom.
  static double best_score(const View& view, const ShapeQueue& queue, double arriving, const GroupRange& groups);

 private:
  static constexpr Duration kAge = std::chrono::milliseconds(100);  // then rates are looked at again

  struct Kept {
    std::uint64_t serial = 0;  // of the queue
    std::uint64_t version = 0;
    std::uint32_t table_version = 0;
    TimePoint until = TimePoint::min();
    Target target;
  };

  Kept& kept_of(const View& view, const ShapeQueue& queue) {
    if (kept_.size() < view.slots()) {  // all at once: targets of one decision stay where they are
      kept_.resize(view.slots());
    }
    Kept& kept = kept_[queue.slot];
    if (kept.serial != queue.serial()) {
      kept = Kept{};
      kept.serial = queue.serial();
    }
    return kept;
  }
  void aim(const View& view, const ShapeQueue& queue, const Pressure& pressure, Target& target, TimePoint now) const;
  bool has_device_alone(const View& view, const ShapeQueue& queue, double demand, TimePoint now) const;
  static void aim_without_headroom(const View& view, const ShapeQueue& queue, double arriving, Target& target);
  static void set_times(const View& view, const ShapeQueue& queue, Target& target);

  std::vector<Kept> kept_;  // by the queue's slot
};

}  // namespace tessera::sched
