// Sends the inputs of waiting requests to the device ahead of their launches.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "device/device.h"
#include "runtime/inbox.h"
#include "runtime/ticket.h"
#include "sched/copy_queue.h"
#include "sched/events.h"

namespace tessera::runtime {

// A copy on its way. It keeps the memory of the requests whose bytes it carries, so that these may end at any time:
// neither their blocks nor their slots on the device, which go with the blocks, are used again before it has ended.
// Owned by the holder of the role; `end` is written by who reports it, before `ended` is posted.
struct CopyRecord {
  Message ended{Message::Kind::kCopyEnded, this};
  std::atomic<std::uint64_t> id{0};  // 0: free
  std::vector<std::shared_ptr<const void>> memory;
  device::CopyEnd end;
};

// Owned by the holder of the dispatcher's role, but for of(), which the device's threads call.
class CopyDesk {
 public:
  // A launch reads inputs up to this size where they lie as fast as a copy would bring them.
  static constexpr Bytes kReadInPlace{32ULL << 10};
  // Up to this size a launch that can begin at once does better without: it has read the bytes before a copy would have
  // brought them. One copy holds it, so that add() and issue() leave nothing behind.
  static constexpr Bytes kReadAtOnce{1ULL << 20};

  explicit CopyDesk(device::Device& device);

  // Whether inputs of the request are to be copied, and can be: as long as there is room, and its memory is the
  // device's.
  bool wants(const Ticket& ticket) const;
  // Of a ticket that it wants: whether it may be launched before it is added. If nothing does, add() and issue() begin
  // its copy without delay, as nothing else is on its way.
  bool may_go_at_once(const Ticket& ticket) const;
  // Of a ticket that it wants. Fills ticket.copied.
  void add(Ticket& ticket, TimePoint deadline);
  // The ticket's request does not wait any more. What was not sent is left to its launch.
  void forget(Ticket& ticket);

  // Begins as many copies as may be outstanding, and says of which requests all are under way. What the device does not
  // take is left to the launch.
  void issue(TimePoint at, std::vector<sched::InputReady>& ready);
  CopyRecord& of(CopyId copy);
  void ended(CopyRecord& record);

 private:
  bool to_copy(const Ticket& ticket, std::size_t input) const;
  void begin(const sched::PlannedCopy& copy, std::vector<sched::InputReady>& ready);
  void leave_to_launch(const sched::PlannedCopy& copy, TimePoint at, std::vector<sched::InputReady>& ready);

  device::Device& device_;
  sched::CopyQueue queue_;
  std::unordered_map<RequestId, Ticket*> tickets_;  // in the queue, or in part
  std::vector<CopyRecord> records_;
  std::vector<sched::InputRange> ranges_;  // of the ticket at hand
};

}  // namespace tessera::runtime
