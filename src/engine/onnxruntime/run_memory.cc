#include "engine/onnxruntime/run_memory.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <new>

#include "base/affinity.h"
#include "base/check.h"
#include "engine/onnxruntime/ort_support.h"

namespace tessera::engine {
namespace {

// ONNX Runtime does not look at what it gets but writes to it. What is thrown here it catches and answers as an error.
void* there(void* block) {
  if (block == nullptr) {
    throw std::bad_alloc();
  }
  return block;
}

}  // namespace

RunMemory::RunMemory(Bytes kept_per_processor) {
  const auto processors = static_cast<std::uint32_t>(std::clamp(sysconf(_SC_NPROCESSORS_CONF), 1L, 4096L));
  for (std::uint32_t i = 0; i < processors; ++i) {
    seats_.push_back(std::make_unique<Seat>(i, kept_per_processor.value));
  }
  TESSERA_CHECK(Ort::GetApi().CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &info_) == nullptr);
  adapter_.memory = this;
  adapter_.version = ORT_API_VERSION;
  adapter_.Alloc = [](OrtAllocator* self, std::size_t size) {
    return there(static_cast<Adapter*>(self)->memory->allocate(size));
  };
  adapter_.Reserve = [](OrtAllocator* /*self*/, std::size_t size) { return there(allocate_lasting(size)); };
  adapter_.Free = [](OrtAllocator* self, void* block) { static_cast<Adapter*>(self)->memory->release(block); };
  adapter_.Info = [](const OrtAllocator* self) -> const OrtMemoryInfo* {
    return static_cast<const Adapter*>(self)->memory->info_;
  };
}

RunMemory::~RunMemory() { Ort::GetApi().ReleaseMemoryInfo(info_); }

void* RunMemory::allocate_lasting(std::size_t size) {
  if (size > SIZE_MAX - sizeof(RunBlock)) {
    return nullptr;
  }
  void* bytes = ::operator new (sizeof(RunBlock) + size, std::align_val_t{alignof(RunBlock)}, std::nothrow);
  return bytes == nullptr ? nullptr : std::construct_at(static_cast<RunBlock*>(bytes))->bytes();
}

void RunMemory::take_returned(Seat& seat) {
  RunBlock* block = seat.returned.exchange(nullptr, std::memory_order_acquire);
  while (block != nullptr) {
    RunBlock* next = block->next;
    seat.arena.release(block);
    block = next;
  }
}

void* RunMemory::allocate(std::size_t size) {
  const auto here = static_cast<std::size_t>(std::max(current_cpu(), 0));
  RunBlock* block = nullptr;
  for (std::size_t i = 0; i < seats_.size() && block == nullptr; ++i) {
    Seat& seat = *seats_[(here + i) % seats_.size()];
    if (const std::unique_lock lock(seat.mutex, std::try_to_lock); lock) {
      take_returned(seat);
      block = seat.arena.allocate(size);
    }
  }
  if (block == nullptr) {
    return allocate_lasting(size);
  }
  in_use_.fetch_add(block->size, std::memory_order_relaxed);
  return block->bytes();
}

void RunMemory::release(void* bytes) {
  if (bytes == nullptr) {
    return;
  }
  RunBlock* block = RunBlock::of(bytes);
  if (block->arena == RunBlock::kNoArena) {
    ::operator delete (block, std::align_val_t{alignof(RunBlock)});
    return;
  }
  in_use_.fetch_sub(block->size, std::memory_order_relaxed);
  Seat& seat = *seats_[block->arena];
  if (const std::unique_lock lock(seat.mutex, std::try_to_lock); lock) {
    take_returned(seat);
    seat.arena.release(block);
    return;
  }
  block->next = seat.returned.load(std::memory_order_relaxed);
  while (
      !seat.returned.compare_exchange_weak(block->next, block, std::memory_order_release, std::memory_order_relaxed)) {
  }
}

Bytes RunMemory::held() const {
  Bytes total;
  for (const auto& seat : seats_) {
    const std::lock_guard lock(seat->mutex);
    total.value += seat->arena.touched();
  }
  return total;
}

}  // namespace tessera::engine
