// Which requests at the head of a queue are given up, where the small batch that they force would lose more behind
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "sched/policy.h"
#include "sched/view.h"

namespace tessera::sched {

// How the batches of a queue follow each other, as far as that can be foreseen.
struct Pace {
  std::size_t group = 0;  // of the slices they run in
  double at_once = 1;     // so many at a time; below 1 where the others leave less than one slice of that size
  Duration between{0};    // the others' turn, from one to the next
};

struct Sacrifice {
  std::int32_t lost = 0;   // requests, from the head on
  std::size_t bucket = 0;  // of the batch that follows them
};

// Has the requests before `first` rejected.
void give_up(const ShapeQueue& queue, ShapeQueue::Entries::const_iterator first, Decisions& out);

// A batch of waiting requests from `first` on that fills its rows, with those before it given up.
struct Fill {
  double score = 0;  // rows per processor-second
  std::size_t bucket = 0;
  std::size_t group = 0;
  ShapeQueue::Entries::const_iterator first;
};

// All of at least that score in slices of the groups from `from_group` on that are in time where they begin at `begin`,
// best first. What is given up may be nothing.
void fills_without_head(const View& view, const ShapeQueue& queue, std::size_t from_group, double least_score,
                        TimePoint begin, std::vector<Fill>& out);

// Plays out what waits, and nothing that may come, for each size of the next batch: every later one is the largest that
// its first request permits. In time is what ends the learned margin before its deadline: where somebody is lost
// anyway, it should not be for a batch that may come too late. Owned by its policy; keeps its memory.
class Outlook {
 public:
  // Instead of a batch of `bucket` that begins at `begin` with the head: the larger batch, and the requests to give up
  // for it, with which more are in time in the end; nothing where there is none. Only in queues whose requests may be
  // rejected early, of models that batch.
  std::optional<Sacrifice> better(const View& view, const ShapeQueue& queue, std::size_t bucket, Pace pace,
                                  TimePoint begin);

 private:
  static constexpr std::size_t kMostRequests = 256;

  struct Waiting {
    TimePoint deadline;
    std::int32_t rows;
  };

  Duration step(std::size_t bucket) const;
  std::size_t skip_lost(std::size_t at, TimePoint ends) const;
  std::int64_t rows_in_time(std::size_t from, TimePoint begin) const;
  struct Part {
    std::size_t end;
    std::int64_t rows;
  };
  Part take(std::size_t from, std::int64_t most) const;

  const Instance* instance_ = nullptr;
  Pace pace_;
  std::vector<Waiting> waiting_;
  std::vector<Duration> latency_;  // by bucket
};

}  // namespace tessera::sched
