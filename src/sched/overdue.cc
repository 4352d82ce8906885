#include "sched/overdue.h"

#include <algorithm>

namespace tessera::sched {
namespace {

constexpr int kLooks = 5;                                    // a fifth of what is allowed lies between the two
constexpr Duration kMostPredicted = std::chrono::hours(24);  // so that no product of a limit overflows

}  // namespace

Duration OverdueRule::limit(Duration predicted, bool for_this_run) const {
  if (predicted == kForever) {
    return unpredicted;
  }
  return std::max(std::min(predicted, kMostPredicted / times) * times, for_this_run ? least : unpredicted);
}

TimePoint OverdueWatch::begin(const Launch& launch, TimePoint now) {
  entries_.push_back({launch});
  Entry& entry = entries_.back();
  if (launch.after_lane_only) {
    const auto at_once = static_cast<std::int64_t>(entries_.size());
    for (Entry& other : entries_) {
      other.at_once = std::max(other.at_once, at_once);
    }
  }
  entry.since = waits(entries_.size() - 1) ? kNever : now;
  return look_at(entry);
}

TimePoint OverdueWatch::end(LaunchId id, TimePoint now) {
  const auto ended =
      std::find_if(entries_.begin(), entries_.end(), [id](const Entry& entry) { return entry.launch.id == id; });
  if (ended == entries_.end()) {
    return kNever;
  }
  entries_.erase(ended);
  TimePoint look = kNever;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].since == kNever && !waits(i)) {
      entries_[i].since = now;
      look = std::min(look, look_at(entries_[i]));
    }
  }
  return look;
}

bool OverdueWatch::waits(std::size_t index) const {
  const Launch& later = entries_[index].launch;
  return !later.after_lane_only &&
         std::any_of(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(index),
                     [&](const Entry& earlier) { return earlier.launch.slice.overlaps(later.slice); });
}

Duration OverdueWatch::between(const Entry& entry) { return allowed(entry) / kLooks; }

TimePoint OverdueWatch::look_at(const Entry& entry) {
  if (entry.since == kNever || entry.found) {
    return kNever;
  }
  return entry.seen == kNever ? add_saturating(entry.since, allowed(entry) - between(entry))
                              : add_saturating(entry.seen, between(entry));
}

TimePoint OverdueWatch::next() const {
  TimePoint next = kNever;
  for (const Entry& entry : entries_) {
    next = std::min(next, look_at(entry));
  }
  return next;
}

std::optional<LaunchId> OverdueWatch::due(TimePoint now) {
  for (Entry& entry : entries_) {
    const TimePoint look = look_at(entry);
    if (look > now) {
      continue;
    }
    // A second look that comes late tells no more than a first one does.
    if (entry.seen == kNever || now > add_saturating(look, between(entry))) {
      entry.seen = now;
      continue;
    }
    entry.found = true;
    return entry.launch.id;
  }
  return std::nullopt;
}

std::vector<LaunchId> OverdueWatch::behind(LaunchId id) const {
  std::vector<LaunchId> out;
  std::vector<Slice> held;
  for (const Entry& entry : entries_) {
    if (entry.launch.id == id) {
      held.push_back(entry.launch.slice);
    } else if (!entry.launch.after_lane_only && std::any_of(held.begin(), held.end(), [&](const Slice& slice) {
                 return slice.overlaps(entry.launch.slice);
               })) {
      held.push_back(entry.launch.slice);
      out.push_back(entry.launch.id);
    }
  }
  return out;
}

}  // namespace tessera::sched
