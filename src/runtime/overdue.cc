#include "runtime/overdue.h"

#include <algorithm>

namespace tessera::runtime {
namespace {

constexpr int kLooks = 10;  // a tenth of the limit lies between the two

}  // namespace

Duration OverdueRule::limit(Duration predicted, bool sure) const {
  if (predicted >= kForever / times) {
    return unpredicted;
  }
  return std::max(predicted * times, sure ? least : unpredicted);
}

void OverdueWatch::begin(const Launch& launch, TimePoint now) {
  entries_.push_back({launch});
  Entry& entry = entries_.back();
  if (launch.after_lane_only) {
    const auto at_once = static_cast<std::int64_t>(entries_.size());
    for (Entry& other : entries_) {
      other.at_once = std::max(other.at_once, at_once);
    }
  }
  entry.since = waits(entries_.size() - 1) ? kNever : now;
}

void OverdueWatch::end(LaunchId id, TimePoint now) {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [id](const Entry& entry) { return entry.launch.id == id; });
  if (found == entries_.end()) {
    return;
  }
  entries_.erase(found);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].since == kNever && !waits(i)) {
      entries_[i].since = now;
    }
  }
}

bool OverdueWatch::waits(std::size_t index) const {
  const Launch& later = entries_[index].launch;
  return !later.after_lane_only &&
         std::any_of(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(index),
                     [&](const Entry& earlier) { return earlier.launch.slice.overlaps(later.slice); });
}

TimePoint OverdueWatch::look_at(const Entry& entry) {
  if (entry.since == kNever || entry.found) {
    return kNever;
  }
  const Duration between = allowed(entry) / kLooks;
  const TimePoint ends = add_saturating(entry.since, allowed(entry));
  return entry.seen == kNever ? ends - between : std::max(ends, add_saturating(entry.seen, between));
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
    if (look_at(entry) > now) {
      continue;
    }
    if (entry.seen == kNever) {
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

}  // namespace tessera::runtime
