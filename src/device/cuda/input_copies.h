// Inputs of requests on their way to the card, ahead of the launches that read them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "device/cuda/device_memory.h"
#include "device/cuda/end_mark.h"
#include "device/cuda/launch_order.h"
#include "device/cuda/pinned_staging.h"
#include "device/device.h"

namespace tessera::device {

// The slab is as large as the pinned memory that requests are read into, and laid out alike: a request's slot is where
// its block is, so it needs no allocator, is there whenever the block is, and neighbours stay neighbours. One stream
// carries all copies: two would be no faster, and so the last one's end is that of all. The words that tell the host of
// ends are written by other streams: between two copies they would cost the engine 2 us (docs/decisions/056).
//
// Owned by the holder of the dispatcher role, but for slot_of(), which is thread-safe, and note_ended(), which the
// polling thread calls.
class InputCopies {
 public:
  using Places = LaunchOrder::Places;

  struct Streams {
    OwnedStream copies;
    std::vector<OwnedStream> ends;  // in turn; none: that of the copies
  };
  // `ends`: the marks of kMaxCopies places. `pool` outlives it.
  // Error: kOutOfMemory where the card has not so much memory.
  static Result<std::unique_ptr<InputCopies>> make(const std::shared_ptr<Gpu>& gpu, const PinnedPool& pool,
                                                   Streams streams, std::span<EndMark> ends);

  // Where the bytes go on the card; nothing for those that are not in the pool.
  std::optional<CUdeviceptr> slot_of(std::span<const std::byte> bytes) const;

  struct Queued {
    std::size_t place = 0;  // among LaunchOrder's
    Places waits_for{};     // the copy before it, unless it has ended
  };
  // Error: kResourceExhausted where all places are taken, kInvalidArgument for bytes without a slot; else the driver's,
  // which the copies after it would not survive.
  Result<Queued> queue(const Copy& copy);
  // The copy to wait for, where those up to `last` are to have ended. Empty: they have.
  Places before(CopyId last) const;

  CopyId id_at(std::size_t place) const { return moving_[place - LaunchOrder::kMaxInFlight].id; }
  void note_ended(std::size_t place) {
    moving_[place - LaunchOrder::kMaxInFlight].ended.store(true, std::memory_order_release);
  }

 private:
  struct Moving {
    CopyId id{};
    std::atomic<bool> ended{true};
  };

  InputCopies(const Driver& driver, const PinnedPool& pool, std::unique_ptr<DeviceRegion> slab, Streams streams,
              std::span<EndMark> ends)
      : driver_(driver), pool_(pool), slab_(std::move(slab)), streams_(std::move(streams)), ends_(ends) {}

  Status mark(EndMark& end);

  const Driver& driver_;
  const PinnedPool& pool_;
  const std::unique_ptr<DeviceRegion> slab_;
  const Streams streams_;
  std::size_t next_end_ = 0;
  const std::span<EndMark> ends_;
  std::array<Moving, LaunchOrder::kMaxCopies> moving_;
};

}  // namespace tessera::device
