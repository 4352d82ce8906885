// One physical card: its context, its processors split into atoms, its streams.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "core/slice.h"
#include "device/cuda/driver.h"
#include "device/cuda/owned.h"

namespace tessera::device {

// Thread-safe. Shared by the devices that are parts of the card, and by what outlives them.
//
// A process opens a card once. Its processors are split once, for good: slices are unions of atoms of that one split,
// since two splits may overlap physically and a split of a split is refused by the driver.
class Gpu {
 public:
  // Work queues are the resource that streams share unseen; beyond so many streams two of them may wait for each other.
  static constexpr std::size_t kMaxStreams = 32;

  static Result<int> count(const Driver& driver);  // cards that this process sees
  // One that cannot be split is one atom. Error: kNotFound for a number without a card.
  static Result<std::shared_ptr<Gpu>> open(const Driver& driver, int ordinal);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  const Driver& driver() const { return driver_; }
  int ordinal() const { return ordinal_; }
  CUdevice number() const { return device_; }        // as the driver knows it
  const std::string& name() const { return name_; }  // as its maker calls it
  // Its compute capability: which machine code it runs. 90 stands for 9.0.
  int architecture() const { return architecture_; }
  CUcontext context() const { return context_; }  // the primary one
  std::uint16_t atoms() const { return static_cast<std::uint16_t>(atoms_.size()); }
  std::uint16_t processors(std::uint16_t atom) const { return atoms_[atom].processors; }

  // The context whose work runs on that slice's processors, which are not reserved: what runs in the primary context
  // runs there too. It is a green context, made where it is asked for first (1.2 ms, 6 MB) and kept as long as the gpu,
  // since to destroy one is to wait for what runs in it. kLoader: a second one, whose stream the
  // loader thread queues on. `slice`, in atoms of the card, is within it.
  enum class Use { kHome, kLoader };
  Result<CUcontext> context_of(const Slice& slice, Use use);

  // A non-blocking stream whose work runs on that slice's processors, given out for good. For who queues work that is
  // not homed: a loader. Error: kResourceExhausted beyond kMaxStreams.
  Result<OwnedStream> make_stream_in(const Slice& slice, Use use);
  void stream_is_back() { streams_.fetch_sub(1); }  // of one that was destroyed; for who does not keep it for good

  // A card fails as one. Who watches is told of the first fault, once, by the thread that reports it, which may be any.
  void watch_faults(const void* who, std::function<void(const Error&)> tell);
  void unwatch_faults(const void* who);  // waits while it is being told
  void fail(const Error& reason);

  Result<Bytes> memory() const;  // all there is

  // Where to ask the driver for so many addresses. Left to itself it begins at a few times 2^32, where two small
  // numbers side by side look like an address to who searches kernels' arguments for some.
  CUdeviceptr next_addresses(std::uint64_t bytes) { return addresses_.fetch_add(bytes); }

  // Non-blocking streams of the primary context, given out for good.
  // Error: kResourceExhausted beyond kMaxStreams.
  Result<std::vector<OwnedStream>> make_streams(std::size_t count);

 private:
  struct Atom {
    std::vector<CUdevResource> resources;  // pieces of the split: two in the last atom where the rest is too small
    std::uint16_t processors = 0;
  };

  struct SliceContext {
    OwnedGreenContext green;
    CUcontext context = nullptr;
  };

  Gpu(const Driver& driver, int ordinal);
  Status start();
  Status split();
  Status count_streams(std::size_t more);
  Result<SliceContext*> find_context(const Slice& slice, Use use);  // with contexts_mutex_ held
  Result<SliceContext> make_context(const Slice& slice) const;

  const Driver driver_;
  const int ordinal_;
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
  std::string name_;
  int architecture_ = 0;
  std::vector<Atom> atoms_;
  std::atomic<std::size_t> streams_{0};
  std::atomic<CUdeviceptr> addresses_;
  std::atomic<bool> failed_{false};
  std::mutex watchers_mutex_;
  std::map<const void*, std::function<void(const Error&)>> watchers_;
  std::mutex contexts_mutex_;  // a green context's handle belongs to one thread at a time
  std::map<std::pair<Use, Slice>, SliceContext> contexts_;
};

// Makes a gpu's primary context the calling thread's current one for a while, where it is not. Owned by its thread.
class CurrentContext {
 public:
  explicit CurrentContext(const Gpu& gpu);
  ~CurrentContext();
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;

  Status status() const { return status_; }

 private:
  const Driver& driver_;
  bool pushed_ = false;
  Status status_;
};

}  // namespace tessera::device
