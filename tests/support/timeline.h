// What a virtual device did and when: its atoms, lanes, homes and loans, for questions that are asked afterwards.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/slice.h"

namespace tessera::testing {

// From `from` to before `until`. Value.
struct Span {
  TimePoint from{};
  TimePoint until = kNever;
};

// A batch that ran. Value.
struct Run {
  InstanceId instance;
  LaneIndex lane;
  Slice slice;
  std::int32_t bucket = 0;
  std::int32_t rows = 0;
  Span taken;  // the lane: from the launch until the scheduler heard of the end
  Span ran;    // the atoms
};

// Of one device. Not thread-safe.
class Timeline {
 public:
  using Home = std::tuple<InstanceId, Slice, std::int32_t, LaneIndex>;

  // In the order of their ends.
  void add(const Run& run) {
    for (std::uint16_t atom = run.slice.first; atom < run.slice.end(); ++atom) {
      atoms_[atom].push_back(run.ran);
    }
    lanes_[{run.instance, run.lane}].push_back(run.taken);
    runs_.push_back(run);
  }
  void home_comes(const Home& home, TimePoint at) { homes_[home].push_back({at, kNever}); }
  void home_goes(const Home& home, TimePoint at) { homes_[home].back().until = at; }
  void lent(const Slice& slice, TimePoint at) { loans_.push_back({slice, {at, kNever}}); }
  void given_back(TimePoint at) { loans_.back().second.until = at; }

  const std::vector<Run>& runs() const { return runs_; }

  // The first moment within `within` from which on for that long the atoms of `slice` were idle, nobody had borrowed
  // any of them, and the lane was free and had the plan there.
  std::optional<TimePoint> gap(const Home& home, const Span& within, Duration length) const {
    const auto& [instance, slice, bucket, lane] = home;
    const auto homed = homes_.find(home);
    if (homed == homes_.end()) {
      return std::nullopt;
    }
    TimePoint at = within.from;
    for (bool moved = true; moved;) {
      if (at > within.until - length) {
        return std::nullopt;
      }
      moved = false;
      const auto pass = [&](const Span& busy) {
        if (busy.from < add_saturating(at, length) && busy.until > at) {
          at = busy.until;
          moved = true;
        }
      };
      for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
        pass_next(atoms_, atom, at, pass);
      }
      pass_next(lanes_, std::pair(instance, lane), at, pass);
      for (const auto& [lent, span] : loans_) {
        if (lent.overlaps(slice)) {
          pass(span);
        }
      }
      TimePoint missing = TimePoint::min();
      for (const Span& there : homed->second) {
        pass({missing, there.from});
        missing = there.until;
      }
      if (missing != kNever) {
        pass({missing, kNever});
      }
    }
    return at;
  }

 private:
  // The one of a key that ends first after `at`: others come behind it.
  template <typename Spans, typename Key, typename Pass>
  static void pass_next(const Spans& spans, const Key& key, TimePoint at, const Pass& pass) {
    const auto found = spans.find(key);
    if (found == spans.end()) {
      return;
    }
    const auto span = std::upper_bound(found->second.begin(), found->second.end(), at,
                                       [](TimePoint moment, const Span& one) { return moment < one.until; });
    if (span != found->second.end()) {
      pass(*span);
    }
  }

  std::vector<Run> runs_;
  std::map<std::uint16_t, std::vector<Span>> atoms_;
  std::map<std::pair<InstanceId, LaneIndex>, std::vector<Span>> lanes_;
  std::map<Home, std::vector<Span>> homes_;
  std::vector<std::pair<Slice, Span>> loans_;
};

}  // namespace tessera::testing
