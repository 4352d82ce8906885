// Activations, outputs and gathered inputs of all models, from caches of freed blocks, one per processor.
//
// Why not ONNX Runtime's own arena: there is one a session, so every (model, slice) would keep its peak for ever; one
// arena shared by all has a lock that another tenant can hold. Here what one model frees on a core serves the next
// model that runs there, and nobody waits: a cache that is busy is passed by.
#pragma once

#include <onnxruntime_c_api.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/ids.h"

namespace tessera::engine {

// Thread-safe. Blocks are aligned to 64 bytes and may be given back by any thread.
class RunMemory {
 public:
  // What each processor's cache may hold; blocks freed beyond it go back to the system, least recently used sizes
  // first.
  static constexpr Bytes kCachePerProcessor{256U << 20};

  explicit RunMemory(Bytes cache_per_processor = kCachePerProcessor);
  ~RunMemory();  // every block must have been given back
  RunMemory(const RunMemory&) = delete;
  RunMemory& operator=(const RunMemory&) = delete;

  void* allocate(std::size_t size);  // null when the system has no more
  void release(void* block);         // null is allowed

  // The same as ONNX Runtime wants to see it; as long-lived as this object.
  OrtAllocator* for_onnxruntime() { return &adapter_; }

  Bytes in_use() const { return {in_use_.load(std::memory_order_relaxed)}; }  // given out now
  Bytes cached() const;

 private:
  // Four sizes to a doubling, from 256 B to 64 GB.
  static constexpr std::size_t kSmallest = 256;
  static constexpr int kClasses = 4 * 28 + 1;
  // A block up to this many classes (less than twice) larger than asked for will do.
  static constexpr int kSlack = 3;

  struct Block;
  struct Cache {
    std::mutex mutex;  // only ever tried
    std::array<Block*, kClasses> free{};
    std::array<std::uint64_t, kClasses> last_used{};
    std::uint64_t tick = 0;
    std::uint64_t bytes = 0;
  };
  struct Adapter : OrtAllocator {
    RunMemory* memory = nullptr;
  };

  static int class_of(std::size_t size);
  static std::size_t size_of_class(int size_class);
  static Block* from_system(int size_class);
  static void to_system(Block* chain);
  Block* take(Cache& cache, int size_class);
  Block* evict(Cache& cache, std::uint64_t room, int keep_class);

  const std::uint64_t cache_limit_;
  std::vector<std::unique_ptr<Cache>> caches_;
  std::atomic<std::uint64_t> in_use_{0};
  OrtMemoryInfo* info_ = nullptr;
  Adapter adapter_;
};

}  // namespace tessera::engine
