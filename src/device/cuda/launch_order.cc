#include "device/cuda/launch_order.h"

#include <algorithm>

#include "base/check.h"

namespace tessera::device {
namespace {

bool same_lane(const Launch& one, const Launch& other) {
  return one.instance == other.instance && one.lane == other.lane;
}

}  // namespace

bool LaunchOrder::must_wait(const Launch& later, const Launch& earlier) {
  return later.after == After::kLane ? same_lane(later, earlier) : later.slice.overlaps(earlier.slice);
}

bool LaunchOrder::waits_for_host(const Launch& launch) const {
  return std::any_of(in_order_.begin(), in_order_.end(), [&](std::size_t place) {
    const Slot& slot = slots_[place];
    return slot.stream == kItsOwnStream && !has_ended(place) && must_wait(launch, slot.launch);
  });
}

std::optional<std::size_t> LaunchOrder::tail(const Stream& stream) const {
  const bool there = stream.sequence != 0 && slots_[stream.last].sequence == stream.sequence && !has_ended(stream.last);
  return there ? std::optional(stream.last) : std::nullopt;
}

std::size_t LaunchOrder::choose_stream(const Places& before) const {
  std::optional<std::size_t> behind;  // one that it waits for anyway; the oldest, as others may yet follow the younger
  std::optional<std::size_t> idle;
  std::size_t oldest = 0;
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    const auto last = tail(streams_[i]);
    if (!last) {
      idle = idle ? idle : i;
    } else if (before.test(*last) && !streams_[i].copies &&
               (!behind || streams_[i].sequence < streams_[*behind].sequence)) {
      behind = i;
    }
    if (streams_[i].sequence < streams_[oldest].sequence) {
      oldest = i;
    }
  }
  return behind.value_or(idle.value_or(oldest));
}

std::optional<LaunchOrder::Placed> LaunchOrder::add(const Launch& launch, On stream) {
  TESSERA_CHECK(launch.id.value != 0 && !find(launch.id));
  std::size_t place = 0;
  while (place < slots_.size() && slots_[place].sequence != 0) {
    ++place;
  }
  if (place == slots_.size()) {
    return std::nullopt;
  }
  Placed placed{.place = place};
  Places before;
  // From the youngest: what one of them waits for already need not be waited for again.
  for (auto earlier = in_order_.rbegin(); earlier != in_order_.rend(); ++earlier) {
    const Slot& slot = slots_[*earlier];
    if (!before.test(*earlier) && must_wait(launch, slot.launch) && !has_ended(*earlier)) {
      placed.waits_for.set(*earlier);
      before.set(*earlier);
      before |= slot.before;
    }
  }
  placed.stream = stream == On::kItsOwn ? kItsOwnStream : choose_stream(before);
  if (const auto last = stream == On::kItsOwn ? std::nullopt : tail(streams_[placed.stream])) {
    if (!before.test(*last)) {
      placed.waits_for.set(*last);
    }
    before.set(*last);
    before |= slots_[*last].before;
  }
  for (const std::size_t earlier : in_order_) {
    placed.events.set(earlier, placed.waits_for.test(earlier) && slots_[earlier].stream != placed.stream);
  }
  Places waited;  // by who waits for placed.lane
  for (auto earlier = in_order_.rbegin(); earlier != in_order_.rend(); ++earlier) {
    const Slot& slot = slots_[*earlier];
    if (before.test(*earlier) && same_lane(launch, slot.launch) && !waited.test(*earlier) && !has_ended(*earlier)) {
      placed.lane.set(*earlier);
      waited |= slot.before;
    }
  }
  Slot& slot = slots_[place];
  slot.launch = launch;
  slot.stream = placed.stream;
  slot.sequence = ++last_sequence_;
  slot.before = before;
  slot.ended.store(false, std::memory_order_relaxed);
  if (stream != On::kItsOwn) {
    streams_[placed.stream] = {place, slot.sequence, stream == On::kPoolWithCopies};
  }
  in_order_.push_back(place);
  return placed;
}

std::optional<std::size_t> LaunchOrder::find(LaunchId id) const {
  const auto found = std::find_if(in_order_.begin(), in_order_.end(),
                                  [&](std::size_t place) { return slots_[place].launch.id == id; });
  return found == in_order_.end() ? std::nullopt : std::optional(*found);
}

void LaunchOrder::remove(std::size_t place) {
  const auto gone = std::find(in_order_.begin(), in_order_.end(), place);
  TESSERA_CHECK(gone != in_order_.end() && has_ended(place));
  in_order_.erase(gone);
  slots_[place].sequence = 0;
  for (const std::size_t other : in_order_) {
    slots_[other].before.reset(place);
  }
}

}  // namespace tessera::device
