#include "device/cuda/input_copies.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tessera::device {

Result<std::unique_ptr<InputCopies>> InputCopies::make(const std::shared_ptr<Gpu>& gpu, const PinnedPool& pool,
                                                       Streams streams, std::span<EndMark> ends) {
  TESSERA_CHECK(ends.size() == LaunchOrder::kMaxCopies);
  TESSERA_ASSIGN_OR_RETURN(auto slab,
                           DeviceRegion::reserve(gpu, pool.size(), std::make_shared<MemoryBudget>(std::nullopt)));
  TESSERA_RETURN_IF_ERROR(slab->grow(pool.size()));
  return std::unique_ptr<InputCopies>(  // NOLINT: the constructor is private
      new InputCopies(gpu->driver(), pool, std::move(slab), std::move(streams), ends));
}

std::optional<CUdeviceptr> InputCopies::slot_of(std::span<const std::byte> bytes) const {
  const auto offset = pool_.offset_of(bytes);
  return offset ? std::optional(slab_->base() + *offset) : std::nullopt;
}

Result<InputCopies::Queued> InputCopies::queue(const Copy& copy) {
  const auto slot = slot_of(copy.bytes);
  if (!slot) {
    return invalid_argument("a copy of bytes that are not in the device's request memory");
  }
  const auto free = std::find_if(moving_.begin(), moving_.end(),
                                 [](const Moving& one) { return one.ended.load(std::memory_order_acquire); });
  if (free == moving_.end()) {
    return Error(ErrorCode::kResourceExhausted, "too many copies are outstanding");
  }
  const auto number = static_cast<std::size_t>(free - moving_.begin());
  Queued queued{.place = LaunchOrder::kMaxInFlight + number, .waits_for = before(copy.id)};
  ends_[number].begin();
  TESSERA_RETURN_IF_ERROR(
      driver_.check(driver_.memcpy_htod_async(*slot, copy.bytes.data(), copy.bytes.size(), streams_.copies.get()),
                    "copy inputs to the card"));
  TESSERA_RETURN_IF_ERROR(mark(ends_[number]));
  free->id = copy.id;
  free->ended.store(false, std::memory_order_relaxed);
  return queued;
}

Status InputCopies::mark(EndMark& end) {
  if (streams_.ends.empty()) {
    return end.mark(streams_.copies.get(), false);
  }
  next_end_ = (next_end_ + 1) % streams_.ends.size();
  return end.mark_apart(streams_.copies.get(), streams_.ends[next_end_].get());
}

InputCopies::Places InputCopies::before(CopyId last) const {
  std::optional<std::size_t> newest;
  for (std::size_t i = 0; i < moving_.size(); ++i) {
    const Moving& one = moving_[i];
    if (!one.ended.load(std::memory_order_acquire) && one.id <= last && (!newest || moving_[*newest].id < one.id)) {
      newest = i;
    }
  }
  Places places;
  if (newest) {
    places.set(LaunchOrder::kMaxInFlight + *newest);
  }
  return places;
}

}  // namespace tessera::device
