#include "sched/copy_queue.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/check.h"

namespace tessera::sched {
namespace {

// What a card's link gives that nobody has measured yet: two points that count little beside a copy.
struct Point {
  double bytes;
  double ns;
};
constexpr std::array<Point, 2> kFirstGuess{{{0, 8'000}, {2'097'152, 50'000}}};

constexpr Duration kPerByte{2};  // 0.3 ms for 150 KB, 130 ms for 64 MB
constexpr Duration kTightSlack = std::chrono::milliseconds(100);
constexpr int kLaxCounts = 1000;  // what a deadline lies beyond that counts one part of so many

constexpr double kGuessCounts = 0.02;
constexpr double kKept = 0.98;  // of what older copies count, with each new one

}  // namespace

CopyLimits copy_limits(std::uint16_t copies) {
  CopyLimits limits;
  limits.outstanding = std::min<std::size_t>(limits.outstanding, copies);
  limits.most = copies;
  return limits;
}

TimePoint copy_due(TimePoint deadline, TimePoint arrived, std::uint64_t bytes) {
  if (deadline == kNever) {
    return add_saturating(arrived, kTightSlack + static_cast<Duration::rep>(bytes) * kPerByte);
  }
  const Duration slack = deadline - arrived;
  return slack <= kTightSlack ? deadline : arrived + kTightSlack + (slack - kTightSlack) / kLaxCounts;
}

Duration LinkTimes::of(std::uint64_t bytes) const {
  double n = n_;
  double x = x_;
  double y = y_;
  double xx = xx_;
  double xy = xy_;
  for (const Point& point : kFirstGuess) {
    n += kGuessCounts;
    x += kGuessCounts * point.bytes;
    y += kGuessCounts * point.ns;
    xx += kGuessCounts * point.bytes * point.bytes;
    xy += kGuessCounts * point.bytes * point.ns;
  }
  const double slope = std::max(0.0, (n * xy - x * y) / (n * xx - x * x));
  const double fixed = std::max(0.0, (y - slope * x) / n);
  return Duration(static_cast<Duration::rep>(fixed + slope * static_cast<double>(bytes)));
}

void LinkTimes::add(std::uint64_t bytes, Duration took) {
  const auto x = static_cast<double>(bytes);
  const auto y = static_cast<double>(took.count());
  n_ = n_ * kKept + 1;
  x_ = x_ * kKept + x;
  y_ = y_ * kKept + y;
  xx_ = xx_ * kKept + x * x;
  xy_ = xy_ * kKept + x * y;
}

bool CopyQueue::add(RequestId request, TimePoint due, std::span<const InputRange> ranges) {
  if (full()) {
    return false;
  }
  TESSERA_CHECK(!ranges.empty());
  const auto [at, fresh] = requests_.emplace(request, Waiting{due, next_number_, ranges.size(), ranges.size()});
  TESSERA_CHECK(fresh);
  for (const InputRange& range : ranges) {
    TESSERA_CHECK(range.bytes > limits_.gap.value);
    const std::uint64_t number = next_number_++;
    const auto item = items_.emplace(Place{due, number}, Item{request, range}).first;
    by_address_.emplace(std::pair(range.at, number), item);
  }
  return true;
}

void CopyQueue::forget(RequestId request) {
  const auto found = requests_.find(request);
  if (found == requests_.end()) {
    return;
  }
  const Waiting waiting = found->second;
  for (std::uint64_t number = waiting.first; number < waiting.first + waiting.ranges; ++number) {
    if (const auto item = items_.find({waiting.due, number}); item != items_.end()) {
      erase(item);
    }
  }
  requests_.erase(found);
}

const PlannedCopy* CopyQueue::next(TimePoint now) {
  if (items_.empty() || !room()) {
    return nullptr;
  }
  const TimePoint begins = outstanding_.empty() ? now : std::max(now, outstanding_.back().predicted_end);
  PlannedCopy& copy = outstanding_.emplace_back();
  copy.id = {++last_copy_};
  copy.issued = now;
  const auto first = items_.begin();
  if (joins(first->second)) {
    take_neighbours(first, copy);
  } else {
    take_piece(first, copy);
  }
  copy.predicted_end = begins + times_.of(copy.range.bytes);
  return &copy;
}

bool CopyQueue::room() const {
  if (outstanding_.size() < limits_.outstanding) {
    return true;
  }
  std::uint64_t bytes = 0;
  for (const PlannedCopy& copy : outstanding_) {
    bytes += copy.range.bytes;
  }
  return outstanding_.size() < limits_.most && bytes < limits_.brief.value;
}

bool CopyQueue::joins(const Item& item) const { return !item.begun && item.left.bytes <= limits_.largest.value; }

void CopyQueue::take_piece(Items::iterator item, PlannedCopy& copy) {
  InputRange& left = item->second.left;
  const std::uint64_t most = items_.size() > 1 ? limits_.piece.value : limits_.largest.value;
  copy.range = {left.at, std::min(left.bytes, most)};
  if (copy.range.bytes == left.bytes) {
    take_whole(item, copy);
    return;
  }
  copy.parts.push_back({item->second.request, false});
  const auto number = item->first.second;
  by_address_.erase({left.at, number});
  left = {left.at + copy.range.bytes, left.bytes - copy.range.bytes};
  item->second.begun = true;
  by_address_.emplace(std::pair(left.at, number), item);
}

void CopyQueue::take_neighbours(Items::iterator item, PlannedCopy& copy) {
  std::uint64_t begin = item->second.left.at;
  std::uint64_t end = begin + item->second.left.bytes;
  auto after = by_address_.find({begin, item->first.second});
  auto before = after++;
  const auto fits = [&](const InputRange& range, std::uint64_t from, std::uint64_t to) {
    const bool behind = range.at >= end;
    const bool ahead = range.at + range.bytes <= begin;
    const std::uint64_t gap = behind ? range.at - end : begin - (range.at + range.bytes);
    return (behind || ahead) && gap <= limits_.gap.value && to - from <= limits_.largest.value;
  };
  std::vector<Items::iterator> taken{item};
  for (; after != by_address_.end() && joins(after->second->second); ++after) {
    const InputRange& range = after->second->second.left;
    if (!fits(range, begin, range.at + range.bytes)) {
      break;
    }
    end = range.at + range.bytes;
    taken.push_back(after->second);
  }
  while (before != by_address_.begin() && joins(std::prev(before)->second->second)) {
    const InputRange& range = std::prev(before)->second->second.left;
    if (!fits(range, range.at, end)) {
      break;
    }
    --before;
    begin = range.at;
    taken.push_back(before->second);
  }
  copy.range = {begin, end - begin};
  for (const auto& one : taken) {
    take_whole(one, copy);
  }
}

// The rest of an item, which thereby leaves the queue.
void CopyQueue::take_whole(Items::iterator item, PlannedCopy& copy) {
  const RequestId request = item->second.request;
  const auto waiting = requests_.find(request);
  const bool last = --waiting->second.left == 0;
  const auto listed = std::find_if(copy.parts.begin(), copy.parts.end(),
                                   [&](const PlannedCopy::Part& part) { return part.request == request; });
  if (listed == copy.parts.end()) {
    copy.parts.push_back({request, last});
  } else {
    listed->last = last;
  }
  erase(item);
  if (last) {
    requests_.erase(waiting);
  }
}

void CopyQueue::erase(Items::iterator item) {
  by_address_.erase({item->second.left.at, item->first.second});
  items_.erase(item);
}

std::deque<PlannedCopy>::iterator CopyQueue::find(CopyId copy) {
  const auto found = std::find_if(outstanding_.begin(), outstanding_.end(),
                                  [&](const PlannedCopy& other) { return other.id == copy; });
  TESSERA_CHECK(found != outstanding_.end());
  return found;
}

void CopyQueue::ended(CopyId copy, TimePoint at) {
  const auto found = find(copy);
  const TimePoint began = std::max(found->issued, last_end_);
  if (at > began) {
    times_.add(found->range.bytes, at - began);
  }
  last_end_ = std::max(last_end_, at);
  outstanding_.erase(found);
}

void CopyQueue::dropped(CopyId copy) { outstanding_.erase(find(copy)); }

}  // namespace tessera::sched
