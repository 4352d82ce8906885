#include "runtime/copy_desk.h"

#include <algorithm>

#include "base/check.h"

namespace tessera::runtime {
namespace {

std::span<const std::byte> bytes_of(const Ticket& ticket, std::size_t input) { return ticket.input(input).data; }

sched::InputRange range_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<std::uintptr_t>(bytes.data()), bytes.size()};
}

std::span<const std::byte> bytes_at(const sched::InputRange& range) {
  return {reinterpret_cast<const std::byte*>(range.at), static_cast<std::size_t>(range.bytes)};
}

sched::CopyLimits limits_of(const DeviceShape& shape) {
  sched::CopyLimits limits = sched::copy_limits(shape.copies);
  limits.gap = CopyDesk::kReadInPlace;
  return limits;
}

}  // namespace

CopyDesk::CopyDesk(device::Device& device)
    : device_(device), queue_(limits_of(device.shape())), records_(device.shape().copies) {
  TESSERA_CHECK(kReadAtOnce.value <= limits_of(device.shape()).largest.value);
}

bool CopyDesk::to_copy(const Ticket& ticket, std::size_t input) const {
  const auto bytes = bytes_of(ticket, input);
  return bytes.size() > kReadInPlace.value && device_.can_copy(bytes);
}

bool CopyDesk::wants(const Ticket& ticket) const {
  if (records_.empty() || queue_.full() || ticket.call->request.memory == nullptr) {
    return false;
  }
  for (std::size_t i = 0; i < ticket.inputs.size(); ++i) {
    if (to_copy(ticket, i)) {
      return true;
    }
  }
  return false;
}

bool CopyDesk::may_go_at_once(const Ticket& ticket) const {
  if (queue_.waiting() > 0 || queue_.outstanding() > 0) {
    return false;
  }
  std::size_t inputs = 0;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < ticket.inputs.size(); ++i) {
    if (to_copy(ticket, i)) {
      ++inputs;
      bytes += bytes_of(ticket, i).size();
    }
  }
  return inputs == 1 && bytes <= kReadAtOnce.value;
}

void CopyDesk::add(Ticket& ticket, TimePoint deadline) {
  ranges_.clear();
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < ticket.inputs.size(); ++i) {
    ticket.copied.push_back(to_copy(ticket, i));
    if (ticket.copied.back()) {
      ranges_.push_back(range_of(bytes_of(ticket, i)));
      bytes += ranges_.back().bytes;
    }
  }
  TESSERA_CHECK(queue_.add(ticket.id(), sched::copy_due(deadline, ticket.arrived, bytes), ranges_));
  tickets_.emplace(ticket.id(), &ticket);
}

void CopyDesk::forget(Ticket& ticket) {
  if (tickets_.erase(ticket.id()) == 1) {
    ticket.copied.clear();
    queue_.forget(ticket.id());
  }
}

void CopyDesk::issue(TimePoint at, std::vector<sched::InputReady>& ready) {
  while (const sched::PlannedCopy* copy = queue_.next(at)) {
    begin(*copy, ready);
  }
}

void CopyDesk::begin(const sched::PlannedCopy& copy, std::vector<sched::InputReady>& ready) {
  const auto free =
      std::find_if(records_.begin(), records_.end(), [](const CopyRecord& record) { return record.id.load() == 0; });
  TESSERA_CHECK(free != records_.end());
  for (const auto& part : copy.parts) {
    Ticket& ticket = *tickets_.at(part.request);
    ticket.last_copy = copy.id;
    free->memory.push_back(ticket.input_memory());
  }
  free->id.store(copy.id.value);  // first: its end may be reported before copy() returns
  if (const Status begun = device_.copy({copy.id, bytes_at(copy.range)}); !begun.ok()) {
    free->memory.clear();
    free->id.store(0);
    leave_to_launch(copy, copy.issued, ready);
    return;
  }
  for (const auto& part : copy.parts) {
    if (part.last) {
      tickets_.erase(part.request);
      ready.push_back({part.request, copy.predicted_end});
    }
  }
}

void CopyDesk::leave_to_launch(const sched::PlannedCopy& copy, TimePoint at, std::vector<sched::InputReady>& ready) {
  for (const auto& part : copy.parts) {
    Ticket& ticket = *tickets_.at(part.request);
    forget(ticket);
    ready.push_back({part.request, at});
  }
  queue_.dropped(copy.id);
}

CopyRecord& CopyDesk::of(CopyId copy) {
  const auto found = std::find_if(records_.begin(), records_.end(),
                                  [copy](const CopyRecord& record) { return record.id.load() == copy.value; });
  TESSERA_CHECK(found != records_.end());
  return *found;
}

void CopyDesk::ended(CopyRecord& record) {
  record.memory.clear();
  record.id.store(0);
  if (record.end.status.ok()) {
    queue_.ended(record.end.id, record.end.ended);
  } else {
    queue_.dropped(record.end.id);
  }
}

}  // namespace tessera::runtime
