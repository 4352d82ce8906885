// Device memory as ONNX Runtime sees it: one allocator for all sessions of a gpu, which takes from where the calling
// thread says. So the same session can be run with the memory of one lane and captured with that of another.
#pragma once

#include <onnxruntime_c_api.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "device/cuda/device_memory.h"
#include "engine/onnxruntime/environment.h"

namespace tessera::engine {

// Where device memory comes from: a range of addresses of its own. Owned by the loader thread.
class MemorySource {
 public:
  explicit MemorySource(std::unique_ptr<device::DeviceRegion> region) : region_(std::move(region)) {}
  virtual ~MemorySource() = default;
  MemorySource(const MemorySource&) = delete;
  MemorySource& operator=(const MemorySource&) = delete;

  virtual Result<CUdeviceptr> allocate(std::size_t size) = 0;
  // For an initialiser of a session that is being made.
  virtual Result<CUdeviceptr> reserve(std::size_t size) { return allocate(size); }
  virtual void release(CUdeviceptr at) = 0;

  const device::DeviceRegion& region() const { return *region_; }
  // Why the last allocation failed; taken once. What ONNX Runtime makes of a failure tells less.
  Status take_failure() { return std::exchange(failure_, {}); }

 protected:
  device::DeviceRegion& region() { return *region_; }

 private:
  friend class DeviceAllocator;
  std::unique_ptr<device::DeviceRegion> region_;
  Status failure_;
};

// Blocks that come and go: a lane's activations, or the loader's scratch.
class HeapSource final : public MemorySource {
 public:
  explicit HeapSource(std::unique_ptr<device::DeviceRegion> region)
      : MemorySource(std::move(region)), heap_(MemorySource::region()) {}
  Result<CUdeviceptr> allocate(std::size_t size) override { return heap_.allocate(size); }
  void release(CUdeviceptr at) override { heap_.release(at); }
  Bytes in_use() const { return heap_.in_use(); }

 private:
  device::RegionHeap heap_;
};

// What a session asked for while it was made, beside what it shares with the others of its model. Value.
struct SessionUse {
  // Initialisers of its own, by size: up to so many bytes each.
  static constexpr std::array<std::size_t, 5> kUpTo{64, 128, 256, 1024, SIZE_MAX};
  struct Initialisers {
    std::size_t count = 0;
    Bytes bytes{};  // as asked for
  };
  std::array<Initialisers, kUpTo.size()> initialisers{};
  Bytes initialiser_room{};  // that they take, with what alignment adds
  Bytes packed_again{};      // packed weights that it does not share, in another order than the first session's
};

// What sessions of one model keep for as long as they live. What a session packs anew exists once for all of them: it
// asks for that memory in the order of its nodes, every time the same; so each later one gets the blocks of the first,
// and writes the same bytes there again. A block is never used for another purpose. Initialisers that were not given to
// the session, small ones, come in the order of a hash table, which differs from session to session: each session has
// its own.
class SessionSource final : public MemorySource {
 public:
  explicit SessionSource(std::unique_ptr<device::DeviceRegion> region) : MemorySource(std::move(region)) {}

  // The next allocations are those of another session.
  void begin_session() {
    next_ = 0;
    use_ = {};
  }
  const SessionUse& use() const { return use_; }  // of the last one
  // A block for other things that live as long, such as the weights themselves.
  Result<CUdeviceptr> append(std::size_t size) { return append_at(size, kAlignment); }
  // The same for one of many small things: aligned to 64 or 128 bytes where it is no larger than that. cuMemAlloc's 256
  // are what libraries may rely on where they are given whole buffers; of one constant the widest access of a kernel is
  // a vector of 16 bytes, and so much is what ONNX Runtime tells cuDNN of its tensors. 64 keeps each in cache sectors
  // of its own.
  Result<CUdeviceptr> append_small(std::size_t size);

  Result<CUdeviceptr> allocate(std::size_t size) override;
  Result<CUdeviceptr> reserve(std::size_t size) override;

  // Tables that captures read and nobody writes, by what is in them: what several captures need exists once. Nothing:
  // there is none with these bytes.
  std::optional<CUdeviceptr> table(std::span<const std::byte> bytes) const;
  void keep_table(std::span<const std::byte> bytes, CUdeviceptr at);
  Bytes tables() const { return table_bytes_; }

  void release(CUdeviceptr /*at*/) override {}
  Bytes used() const { return {end_.load(std::memory_order_relaxed)}; }  // thread-safe
  // Of it: what sessions hold once more, which asked in another order than the first. Thread-safe.
  Bytes again() const { return {again_.load(std::memory_order_relaxed)}; }

 private:
  struct Block {
    CUdeviceptr at = 0;
    std::size_t size = 0;
  };

  static constexpr std::size_t kAlignment = 256;

  Result<CUdeviceptr> append_at(std::size_t size, std::size_t alignment);

  std::vector<Block> blocks_;  // in the order of the first session
  std::size_t next_ = 0;
  SessionUse use_;
  std::map<std::string, CUdeviceptr, std::less<>> tables_;  // by their bytes
  Bytes table_bytes_{};
  std::atomic<std::uint64_t> end_{0};  // written by the loader thread
  std::atomic<std::uint64_t> again_{0};
};

// Thread-safe. Registered with the environment for as long as it lives; every session that was made with
// use_env_allocators takes its device memory here.
class DeviceAllocator {
 public:
  static Result<std::unique_ptr<DeviceAllocator>> make(std::shared_ptr<const Environment> environment, int gpu);
  ~DeviceAllocator();
  DeviceAllocator(const DeviceAllocator&) = delete;
  DeviceAllocator& operator=(const DeviceAllocator&) = delete;

  const OrtMemoryInfo* info() const { return info_; }

  // Sources are known from before their first allocation until after their last release.
  void add(MemorySource& source);
  void remove(MemorySource& source);

  // What the calling thread allocates while this lives comes from `source`. Owned by that thread; nests.
  class From {
   public:
    explicit From(MemorySource& source);
    ~From();
    From(const From&) = delete;
    From& operator=(const From&) = delete;

   private:
    MemorySource* outer_;
  };

 private:
  struct Adapter : OrtAllocator {
    DeviceAllocator* self = nullptr;
  };

  DeviceAllocator(std::shared_ptr<const Environment> environment, Ort::MemoryInfo info);
  // Throws std::bad_alloc, which ONNX Runtime catches and answers as an error. What it gets is otherwise handed to
  // kernels as it is: an address of 0 would take the whole card down.
  enum class Kind { kRun, kInitializer };
  static void* allocate(std::size_t size, Kind kind);
  void release(void* at);

  const std::shared_ptr<const Environment> environment_;
  const Ort::MemoryInfo info_;
  Adapter adapter_;
  bool registered_ = false;
  std::mutex mutex_;                              // never on a request's way
  std::map<CUdeviceptr, MemorySource*> sources_;  // by the end of their addresses
};

// A source that the allocator knows for as long as it lives.
template <typename Source>
class Registered {
 public:
  template <typename... Args>
  explicit Registered(DeviceAllocator& allocator, Args&&... args)
      : allocator_(allocator), source_(std::forward<Args>(args)...) {
    allocator_.add(source_);
  }
  ~Registered() { allocator_.remove(source_); }
  Registered(const Registered&) = delete;
  Registered& operator=(const Registered&) = delete;

  Source& operator*() { return source_; }
  Source* operator->() { return &source_; }
  const Source* operator->() const { return &source_; }

 private:
  DeviceAllocator& allocator_;
  Source source_;
};

}  // namespace tessera::engine
