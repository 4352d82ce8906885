// Which launches of a GPU wait for which, and on which stream each goes: bookkeeping alone, no driver.
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "device/device.h"

namespace tessera::device {

// Owned by the holder of the dispatcher role; note_ended() may be called by the polling thread.
//
// A launch that the host makes as it runs (CudaPlan::worker) is on a stream of its own. The card knows no end of it
// before it has ended, so those that would have to wait for it may not be added until then: waits_for_host().
//
// Work queues are scarce, so a launch goes behind one that it has to wait for anyway, where that one is the last of its
// stream; else to a stream on which nothing is left to run; else, where all are busy, behind the oldest last launch,
// for which it then waits without need.
class LaunchOrder {
 public:
  // A stream's queue in the driver holds about a thousand commands; a full one would block who launches.
  static constexpr std::size_t kMaxInFlight = 128;
  // Copies have places of their own behind those of launches, so that whoever waits can wait for either.
  static constexpr std::size_t kMaxCopies = 4;
  static constexpr std::size_t kPlaces = kMaxInFlight + kMaxCopies;
  using Places = std::bitset<kPlaces>;

  struct Placed {
    std::size_t place = 0;   // the launch's own, below kMaxInFlight, until remove()
    std::size_t stream = 0;  // not of one on a stream of its own
    Places waits_for{};      // launches that run before it; those that ended may be missing
    Places events{};         // of these, the ones whose end the stream has to be told to wait for
    Places lane{};           // launches of its lane before it, whose ends copies on another stream have to wait for
  };

  explicit LaunchOrder(std::size_t streams) : streams_(streams) { in_order_.reserve(kMaxInFlight); }

  // Whether it has to wait for one that the host makes.
  bool waits_for_host(const Launch& launch) const;
  // The same of two launches, whoever makes them.
  static bool must_wait(const Launch& later, const Launch& earlier);
  // Nothing when all places are taken. kPoolWithCopies: copies of its outputs follow it on its stream, for which nobody
  // else has to wait.
  enum class On { kPool, kPoolWithCopies, kItsOwn };
  std::optional<Placed> add(const Launch& launch, On stream = On::kPool);
  std::size_t size() const { return in_order_.size(); }
  std::optional<std::size_t> find(LaunchId id) const;
  void note_ended(std::size_t place) { slots_[place].ended.store(true, std::memory_order_release); }
  void remove(std::size_t place);

 private:
  static constexpr std::size_t kItsOwnStream = SIZE_MAX;

  struct Slot {
    Launch launch;
    std::size_t stream = 0;
    std::uint64_t sequence = 0;  // 0: the place is free
    Places before;               // all that certainly end before it begins
    std::atomic<bool> ended{false};
  };
  struct Stream {
    std::size_t last = 0;        // place of the launch queued last
    std::uint64_t sequence = 0;  // of that launch; 0: none so far
    bool copies = false;         // follow it
  };

  bool has_ended(std::size_t place) const { return slots_[place].ended.load(std::memory_order_acquire); }
  // The last launch of a stream, unless it has ended.
  std::optional<std::size_t> tail(const Stream& stream) const;
  std::size_t choose_stream(const Places& before) const;

  std::array<Slot, kMaxInFlight> slots_;
  std::vector<std::size_t> in_order_;  // places, as launched
  std::vector<Stream> streams_;
  std::uint64_t last_sequence_ = 0;
};

}  // namespace tessera::device
