// Activations, outputs and gathered inputs of all models, from one arena a processor.
//
// Why not ONNX Runtime's own arena: there is one a session, so every (model, slice) would keep its peak for ever; one
// arena shared by all sessions has a lock that another tenant can hold. Here what one model frees on a core serves the
// next model that runs there, and nobody waits: an arena that is busy is passed by.
#pragma once

#include <onnxruntime_c_api.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/ids.h"
#include "engine/onnxruntime/run_arena.h"

namespace tessera::engine {

// Thread-safe. Blocks are aligned to 64 bytes and may be given back by any thread.
class RunMemory {
 public:
  // Free memory that each processor's arena may keep at its upper end.
  static constexpr Bytes kKeptPerProcessor{256U << 20};

  explicit RunMemory(Bytes kept_per_processor = kKeptPerProcessor);
  ~RunMemory();  // every block must have been given back
  RunMemory(const RunMemory&) = delete;
  RunMemory& operator=(const RunMemory&) = delete;

  void* allocate(std::size_t size);  // null when the system has no more
  void release(void* bytes);         // null is allowed

  // For what lives as long as a session: not from an arena, where it would sit between what comes and goes.
  static void* allocate_lasting(std::size_t size);

  // The same as ONNX Runtime wants to see it; as long-lived as this object.
  OrtAllocator* for_onnxruntime() { return &adapter_; }

  Bytes in_use() const { return {in_use_.load(std::memory_order_relaxed)}; }  // given out now, by allocate
  Bytes held() const;                                                         // that arenas may keep resident

 private:
  struct Seat {
    Seat(std::uint32_t index, std::uint64_t kept) : arena(index, kept) {}
    std::mutex mutex;  // only ever tried on the way of a run
    RunArena arena;
    std::atomic<RunBlock*> returned{nullptr};  // by threads that found the arena busy; whoever gets it next takes them
  };
  struct Adapter : OrtAllocator {
    RunMemory* memory = nullptr;
  };

  static void take_returned(Seat& seat);

  std::vector<std::unique_ptr<Seat>> seats_;
  std::atomic<std::uint64_t> in_use_{0};
  OrtMemoryInfo* info_ = nullptr;
  Adapter adapter_;
};

}  // namespace tessera::engine
