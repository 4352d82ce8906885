// Where the plans of an instance are homed, and where that was asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"

namespace tessera::sched {

// One plan in one slice, by places: of the lane, of the slice on the ladder, of the bucket.
struct HomePlace {
  std::size_t lane = 0;
  std::size_t slice = 0;
  std::size_t bucket = 0;
};

// Owned by the scheduler; policies see it const. A lazy instance gets homes where somebody wants them, and loses those
// that were not used for longest; another one has what its loader gave it, for good.
class Homes {
 public:
  static constexpr std::size_t kMaxBuckets = 32;

  // `complete`: all plans exist. Else each shows with its first home.
  Homes(std::size_t lanes, std::size_t slices, std::size_t buckets, bool lazy, bool complete);

  bool lazy() const { return lazy_; }
  bool there(const HomePlace& place) const { return has(there_, place); }

  // Whether the plan exists.
  bool captured(std::size_t lane, std::size_t bucket) const;

  // Both of all lanes, or of all buckets, where none is given. Returns how many came to be there.
  std::size_t add(std::optional<std::size_t> lane, std::size_t slice, std::optional<std::size_t> bucket, TimePoint now);

  // Whether it may be asked for: the plan exists, is not there, was not asked for yet, and never turned out to be
  // impossible.
  bool may_ask(const HomePlace& place) const;
  bool asked(const HomePlace& place) const { return lazy_ && has(asked_, place); }
  bool impossible(const HomePlace& place) const { return lazy_ && has(impossible_, place); }
  // The first of these buckets, a bit for each, that may be asked for there.
  std::optional<std::size_t> first_to_ask(std::size_t lane, std::size_t slice, std::uint32_t buckets) const;
  void ask(const HomePlace& place) { set(asked_, place, true); }
  // What was asked for will not come, or, for good, cannot. False: it was not asked for.
  bool fail(const HomePlace& place, bool for_good);

  void drop(const HomePlace& place) { set(there_, place, false); }

  // A launch uses it from begin to end; meanwhile it is not among the unused ones.
  void begin_use(const HomePlace& place);
  void end_use(const HomePlace& place, TimePoint now);

  struct Unused {
    HomePlace place;
    TimePoint since{};
  };
  // The one that was not used for longest, those in the slice `kept` aside; of lanes for which `lane_counts` says so.
  std::optional<Unused> longest_unused(std::size_t kept, const std::vector<char>& lane_counts) const;

  std::size_t count_asked() const { return count(asked_); }
  std::size_t held() const { return count(there_); }

 private:
  using Bits = std::vector<std::uint32_t>;  // by (lane, slice): a bit for each bucket

  std::size_t at(const HomePlace& place) const { return place.lane * slices_ + place.slice; }
  bool has(const Bits& bits, const HomePlace& place) const { return (bits[at(place)] >> place.bucket & 1U) != 0; }
  void set(Bits& bits, const HomePlace& place, bool value) const;
  TimePoint& use(const HomePlace& place) { return last_use_[at(place) * buckets_ + place.bucket]; }
  static std::size_t count(const Bits& bits);

  const std::size_t slices_;
  const std::size_t buckets_;
  const bool lazy_;
  Bits there_;
  Bits asked_;
  Bits impossible_;
  std::vector<std::uint32_t> captured_;  // by lane: a bit for each bucket
  std::vector<TimePoint> last_use_;      // of lazy ones: by (lane, slice, bucket); kNever while a launch uses it
};

}  // namespace tessera::sched
