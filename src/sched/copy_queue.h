// Which bytes of waiting requests go to a card next: a pure object, like the scheduler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace tessera::sched {

// Bytes of a request by their place in request memory. A card's memory for them is laid out alike, so what is
// neighbours here is neighbours there.
struct InputRange {
  std::uint64_t at = 0;
  std::uint64_t bytes = 0;
};

struct CopyLimits {
  std::size_t outstanding = 2;  // copies of any size: one moves, one follows it without a pause
  // Copies in all: further ones while those hold less than `brief`, as the link would be through with them before the
  // host has seen an end and issued the next.
  std::size_t most = 2;
  Bytes brief{3ULL << 19};
  Bytes largest{2ULL << 20};       // of one copy; also of a piece while nothing else waits
  Bytes piece{512ULL << 10};       // of a range larger than `largest`
  Bytes gap{32ULL << 10};          // carried along where it saves a copy; less than any range, see add()
  std::size_t max_waiting = 4096;  // requests
};

// For a device that takes so many copies at a time.
CopyLimits copy_limits(std::uint16_t copies);

// When a request's bytes are due at the card, which is what orders copies: at its deadline, though a lax one is none
// for the link. Without a deadline after all that have a near one, and the more bytes the later: whoever uploads much
// then waits for those with little, and not they for him, but not for ever.
TimePoint copy_due(TimePoint deadline, TimePoint arrived, std::uint64_t bytes);

// How long the link takes: a fixed part and one that grows with the bytes, fitted to the ends seen, recent ones first.
// Immutable but for add(); owned by who feeds it.
class LinkTimes {
 public:
  Duration of(std::uint64_t bytes) const;
  void add(std::uint64_t bytes, Duration took);

 private:
  // Weighted sums of x = bytes, y = nanoseconds, without the two points that it begins with and never forgets.
  double n_ = 0;
  double x_ = 0;
  double y_ = 0;
  double xx_ = 0;
  double xy_ = 0;
};

struct PlannedCopy {
  struct Part {
    RequestId request;
    bool last = false;  // nothing of the request is left to be issued
  };
  CopyId id;
  InputRange range;  // what the gaps hold is carried along
  TimePoint issued{};
  TimePoint predicted_end{};
  std::vector<Part> parts;  // each request once
};

// Earliest due first. A copy takes whole neighbouring ranges as one, up to limits.largest; what is larger goes in
// pieces, so that whatever arrives waits for outstanding pieces at most. Owned by the holder of the device's dispatcher
// role (or by a simulation); never reads a clock.
class CopyQueue {
 public:
  explicit CopyQueue(const CopyLimits& limits) : limits_(limits) {}

  // A request that is not in the queue. Each of `ranges` is larger than limits.gap, so that no gap can hold one whole:
  // what is carried along with a gap is read by nobody. False: full, nothing is taken.
  bool add(RequestId request, TimePoint due, std::span<const InputRange> ranges);
  // Forgets what of the request was not issued yet.
  void forget(RequestId request);

  // What to issue now; nullptr while as many as may be are outstanding or nothing waits. Valid until it has ended.
  const PlannedCopy* next(TimePoint now);
  // A copy that next() gave has ended as the device saw it, or never began.
  void ended(CopyId copy, TimePoint at);
  void dropped(CopyId copy);

  bool full() const { return requests_.size() >= limits_.max_waiting; }
  std::size_t waiting() const { return requests_.size(); }
  std::size_t outstanding() const { return outstanding_.size(); }
  const LinkTimes& times() const { return times_; }

 private:
  using Place = std::pair<TimePoint, std::uint64_t>;  // by when they are due, then as added
  struct Item {
    RequestId request;
    InputRange left;
    bool begun = false;
  };
  using Items = std::map<Place, Item>;
  struct Waiting {
    TimePoint due{};
    std::uint64_t first = 0;  // of its items' numbers, which are consecutive
    std::size_t ranges = 0;   // at first
    std::size_t left = 0;
  };
  using ByAddress = std::map<std::pair<std::uint64_t, std::uint64_t>, Items::iterator>;  // address, number

  bool joins(const Item& item) const;
  void take_piece(Items::iterator item, PlannedCopy& copy);
  void take_neighbours(Items::iterator item, PlannedCopy& copy);
  void take_whole(Items::iterator item, PlannedCopy& copy);
  void erase(Items::iterator item);
  bool room() const;
  std::deque<PlannedCopy>::iterator find(CopyId copy);

  const CopyLimits limits_;
  Items items_;
  ByAddress by_address_;
  std::unordered_map<RequestId, Waiting> requests_;
  std::deque<PlannedCopy> outstanding_;  // as issued
  std::uint64_t next_number_ = 1;
  std::uint64_t last_copy_ = 0;
  TimePoint last_end_ = TimePoint::min();  // seen
  LinkTimes times_;
};

}  // namespace tessera::sched
