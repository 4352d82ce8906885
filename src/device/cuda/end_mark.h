// How the end of something queued is seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "device/cuda/gpu.h"
#include "device/cuda/owned.h"

namespace tessera::device {

// An event, which other streams can wait for and which knows of faults, and a word in the host's memory that the card
// writes after it. To look at the word costs nothing, while to ask for the event costs a microsecond, waits for whoever
// is launching, and is answered 2 us later. Used for one thing at a time; owned by who queues, but for written() and
// ask(), which any one other thread may call once it has been told of mark().
class EndMark {
 public:
  // `count` of them. `event_flags`: as cuEventCreate has them, beside that nothing is timed. Pins memory, which stalls
  // every launch on the card.
  static Result<std::vector<EndMark>> make(const std::shared_ptr<Gpu>& gpu, std::size_t count,
                                           unsigned event_flags = 0);

  // Not ended from here on.
  void begin() { ++number_; }
  // What was queued on the stream so far is what has to end. `written_by_it`: the last of it writes number() to word()
  // itself, so that the stream need not.
  Status mark(CUstream stream, bool written_by_it);
  // The same, and the word is written on another stream, so that what follows on the first need not wait for that.
  Status mark_apart(CUstream stream, CUstream writer);

  CUevent event() const { return event_.get(); }
  std::uint64_t word() const { return reinterpret_cast<std::uintptr_t>(word_); }
  std::uint32_t number() const { return number_; }
  bool written() const;
  CUresult ask() const;    // CUDA_SUCCESS: ended; CUDA_ERROR_NOT_READY; else the card's fault
  CUresult await() const;  // likewise, once it has ended

 private:
  EndMark(const Driver& driver, std::shared_ptr<void> memory, std::size_t place)
      : driver_(&driver), memory_(std::move(memory)), word_(static_cast<std::uint32_t*>(memory_.get()) + place) {}

  const Driver* driver_;
  std::shared_ptr<void> memory_;
  std::uint32_t* word_;
  std::uint32_t number_ = 0;  // the word's value once it has ended
  OwnedEvent event_;
};

}  // namespace tessera::device
