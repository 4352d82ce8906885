#include "sched/homes.h"

#include <bit>
#include <numeric>

#include "base/check.h"

namespace tessera::sched {

Homes::Homes(std::size_t lanes, std::size_t slices, std::size_t buckets, bool lazy, bool complete)
    : slices_(slices), buckets_(buckets), lazy_(lazy) {
  TESSERA_CHECK(buckets > 0 && buckets <= kMaxBuckets);
  there_.assign(lanes * slices, 0);
  captured_.assign(lanes, complete ? ~std::uint32_t{0} >> (kMaxBuckets - buckets) : 0);
  if (lazy) {
    asked_.assign(lanes * slices, 0);
    impossible_.assign(lanes * slices, 0);
    last_use_.assign(lanes * slices * buckets, TimePoint{});
  }
}

std::size_t Homes::add(std::optional<std::size_t> lane, std::size_t slice, std::optional<std::size_t> bucket,
                       TimePoint now) {
  std::size_t added = 0;
  const std::size_t lanes = there_.size() / slices_;
  HomePlace place{0, slice, 0};
  for (place.lane = lane.value_or(0); place.lane < (lane ? *lane + 1 : lanes); ++place.lane) {
    for (place.bucket = bucket.value_or(0); place.bucket < (bucket ? *bucket + 1 : buckets_); ++place.bucket) {
      added += there(place) ? 0 : 1;
      if (lazy_ && !there(place)) {
        set(asked_, place, false);
        use(place) = now;
      }
      set(there_, place, true);
      captured_[place.lane] |= std::uint32_t{1} << place.bucket;
    }
  }
  return added;
}

bool Homes::captured(std::size_t lane, std::size_t bucket) const { return (captured_[lane] >> bucket & 1U) != 0; }

bool Homes::may_ask(const HomePlace& place) const {
  return lazy_ && captured(place.lane, place.bucket) && !there(place) && !has(asked_, place) &&
         !has(impossible_, place);
}

std::optional<std::size_t> Homes::first_to_ask(std::size_t lane, std::size_t slice, std::uint32_t buckets) const {
  const std::size_t at = lane * slices_ + slice;
  const std::uint32_t left = lazy_ ? captured_[lane] & buckets & ~(there_[at] | asked_[at] | impossible_[at]) : 0;
  return left == 0 ? std::nullopt : std::optional(static_cast<std::size_t>(std::countr_zero(left)));
}

bool Homes::fail(const HomePlace& place, bool for_good) {
  if (!lazy_ || !has(asked_, place)) {
    return false;
  }
  set(asked_, place, false);
  set(impossible_, place, for_good);
  return true;
}

void Homes::begin_use(const HomePlace& place) {
  if (lazy_) {
    use(place) = kNever;
  }
}

void Homes::end_use(const HomePlace& place, TimePoint now) {
  if (lazy_) {
    use(place) = now;
  }
}

std::optional<Homes::Unused> Homes::longest_unused(std::size_t kept, const std::vector<char>& lane_counts) const {
  std::optional<Unused> oldest;
  for (std::size_t at = 0; lazy_ && at < there_.size(); ++at) {
    if (there_[at] == 0 || at % slices_ == kept || lane_counts[at / slices_] == 0) {
      continue;
    }
    for (std::uint32_t left = there_[at]; left != 0; left &= left - 1) {
      const auto bucket = static_cast<std::size_t>(std::countr_zero(left));
      const TimePoint since = last_use_[at * buckets_ + bucket];
      if (since != kNever && (!oldest || since < oldest->since)) {
        oldest = Unused{{at / slices_, at % slices_, bucket}, since};
      }
    }
  }
  return oldest;
}

void Homes::set(Bits& bits, const HomePlace& place, bool value) const {
  const std::uint32_t bit = std::uint32_t{1} << place.bucket;
  std::uint32_t& word = bits[at(place)];
  word = value ? word | bit : word & ~bit;
}

std::size_t Homes::count(const Bits& bits) {
  return std::accumulate(bits.begin(), bits.end(), std::size_t{0}, [](std::size_t sum, std::uint32_t word) {
    return sum + static_cast<std::size_t>(std::popcount(word));
  });
}

}  // namespace tessera::sched
