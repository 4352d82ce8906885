#include "engine/onnxruntime/run_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <new>
#include <utility>

#include "base/affinity.h"
#include "base/check.h"
#include "engine/onnxruntime/ort_support.h"

namespace tessera::engine {
namespace {

constexpr std::size_t kAlignment = 64;
// From this size on blocks are mappings of their own, so that giving one back gives its pages back.
constexpr std::size_t kMapFrom = 256U << 10;

}  // namespace

// Lies in front of the bytes handed out.
struct alignas(kAlignment) RunMemory::Block {
  Block* next = nullptr;
  std::uint16_t cache = 0;
  std::int16_t size_class = 0;
};

RunMemory::RunMemory(Bytes cache_per_processor) : cache_limit_(cache_per_processor.value) {
  const long processors = std::clamp(sysconf(_SC_NPROCESSORS_CONF), 1L, 4096L);
  for (long i = 0; i < processors; ++i) {
    caches_.push_back(std::make_unique<Cache>());
  }
  TESSERA_CHECK(Ort::GetApi().CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &info_) == nullptr);
  adapter_.memory = this;
  adapter_.version = ORT_API_VERSION;
  adapter_.Alloc = [](OrtAllocator* self, std::size_t size) {
    return static_cast<Adapter*>(self)->memory->allocate(size);
  };
  adapter_.Reserve = adapter_.Alloc;
  adapter_.Free = [](OrtAllocator* self, void* block) { static_cast<Adapter*>(self)->memory->release(block); };
  adapter_.Info = [](const OrtAllocator* self) -> const OrtMemoryInfo* {
    return static_cast<const Adapter*>(self)->memory->info_;
  };
}

RunMemory::~RunMemory() {
  for (const auto& cache : caches_) {
    for (Block* chain : cache->free) {
      to_system(chain);
    }
  }
  Ort::GetApi().ReleaseMemoryInfo(info_);
}

int RunMemory::class_of(std::size_t size) {
  if (size <= kSmallest) {
    return 0;
  }
  // size - 1 has its highest bit at `doubling`; the two bits below it say which quarter.
  const int doubling = std::bit_width(size - 1) - 1;
  const auto quarter = static_cast<int>(((size - 1) >> (doubling - 2)) & 3);
  return 4 * (doubling - std::bit_width(kSmallest) + 1) + quarter + 1;
}

std::size_t RunMemory::size_of_class(int size_class) {
  const std::size_t quarters = 4 + (static_cast<std::size_t>(size_class) & 3);
  return quarters * kSmallest / 4 << (size_class / 4);
}

RunMemory::Block* RunMemory::from_system(int size_class) {
  const std::size_t size = sizeof(Block) + size_of_class(size_class);
  void* bytes = nullptr;
  if (size >= kMapFrom) {
    bytes = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bytes = bytes == MAP_FAILED ? nullptr : bytes;
  } else {
    bytes = ::operator new(size, std::align_val_t{kAlignment}, std::nothrow);
  }
  if (bytes == nullptr) {
    return nullptr;
  }
  auto* block = std::construct_at(static_cast<Block*>(bytes));
  block->size_class = static_cast<std::int16_t>(size_class);
  return block;
}

void RunMemory::to_system(Block* chain) {
  while (chain != nullptr) {
    Block* block = std::exchange(chain, chain->next);
    const std::size_t size = sizeof(Block) + size_of_class(block->size_class);
    if (size >= kMapFrom) {
      munmap(block, size);
    } else {
      ::operator delete(block, std::align_val_t{kAlignment});
    }
  }
}

RunMemory::Block* RunMemory::take(Cache& cache, int size_class) {
  const std::unique_lock lock(cache.mutex, std::try_to_lock);
  if (!lock) {
    return nullptr;
  }
  const int last = std::min(size_class + kSlack, kClasses - 1);
  for (int candidate = size_class; candidate <= last; ++candidate) {
    Block* block = cache.free[static_cast<std::size_t>(candidate)];
    if (block != nullptr) {
      cache.free[static_cast<std::size_t>(candidate)] = block->next;
      cache.last_used[static_cast<std::size_t>(candidate)] = ++cache.tick;
      cache.bytes -= size_of_class(candidate);
      return block;
    }
  }
  return nullptr;
}

RunMemory::Block* RunMemory::evict(Cache& cache, std::uint64_t room, int keep_class) {
  Block* evicted = nullptr;
  while (cache.bytes + room > cache_limit_) {
    int oldest = -1;
    for (int i = 0; i < kClasses; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (i != keep_class && cache.free[at] != nullptr &&
          (oldest < 0 || cache.last_used[at] < cache.last_used[static_cast<std::size_t>(oldest)])) {
        oldest = i;
      }
    }
    if (oldest < 0) {
      break;
    }
    Block*& head = cache.free[static_cast<std::size_t>(oldest)];
    Block* block = std::exchange(head, head->next);
    block->next = std::exchange(evicted, block);
    cache.bytes -= size_of_class(oldest);
  }
  return evicted;
}

void* RunMemory::allocate(std::size_t size) {
  const int size_class = class_of(size);
  if (size_class >= kClasses) {
    return nullptr;
  }
  const auto here = static_cast<std::size_t>(std::max(current_cpu(), 0)) % caches_.size();
  Block* block = take(*caches_[here], size_class);
  if (block == nullptr) {
    block = from_system(size_class);
    if (block == nullptr) {
      return nullptr;
    }
  }
  block->cache = static_cast<std::uint16_t>(here);
  in_use_.fetch_add(size_of_class(block->size_class), std::memory_order_relaxed);
  return block + 1;
}

void RunMemory::release(void* bytes) {
  if (bytes == nullptr) {
    return;
  }
  Block* block = static_cast<Block*>(bytes) - 1;
  const int size_class = block->size_class;
  const std::size_t size = size_of_class(size_class);
  in_use_.fetch_sub(size, std::memory_order_relaxed);
  block->next = nullptr;
  Cache& cache = *caches_[block->cache];
  Block* surplus = block;
  if (const std::unique_lock lock(cache.mutex, std::try_to_lock); lock && size <= cache_limit_) {
    surplus = evict(cache, size, size_class);
    if (cache.bytes + size <= cache_limit_) {
      block->next = std::exchange(cache.free[static_cast<std::size_t>(size_class)], block);
      cache.bytes += size;
    } else {
      block->next = std::exchange(surplus, block);
    }
  }
  to_system(surplus);
}

Bytes RunMemory::cached() const {
  Bytes total;
  for (const auto& cache : caches_) {
    const std::lock_guard lock(cache->mutex);
    total.value += cache->bytes;
  }
  return total;
}

}  // namespace tessera::engine
