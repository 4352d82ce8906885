// Memory of the driver in memory.
#include <algorithm>
#include <numeric>

#include <sys/mman.h>

#include "tests/support/cuda/fake_cuda_impl.h"

namespace tessera::device::test {
namespace {

constexpr std::size_t kAlignment = 512;
constexpr std::size_t kGranularity = 2 << 20;

}  // namespace

std::optional<CUmemorytype> FakeCuda::Impl::type_of(CUdeviceptr address) const {
  for (const auto& [begin, block] : memory) {
    if (address >= begin && address < begin + block.size) {
      return block.of_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
    }
  }
  for (const auto& [begin, range] : ranges) {
    for (const auto& [at, piece] : range.mapped) {
      if (address >= at && address < at + piece->size) {
        return CU_MEMORYTYPE_DEVICE;
      }
    }
  }
  return std::nullopt;
}

CUresult FakeCuda::Impl::pointer_get_attribute(void* data, CUpointer_attribute attribute, CUdeviceptr address) {
  const auto type = type_of(address);
  if (!type || attribute != CU_POINTER_ATTRIBUTE_MEMORY_TYPE) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  return give(static_cast<unsigned*>(data), unsigned{*type});
}

// As the driver does it: what it does not know of is no error.
CUresult FakeCuda::Impl::pointer_get_attributes(unsigned count, CUpointer_attribute* attributes, void** data,
                                                CUdeviceptr address) {
  for (unsigned i = 0; i < count; ++i) {
    if (attributes[i] != CU_POINTER_ATTRIBUTE_MEMORY_TYPE) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    const auto type = type_of(address);
    *static_cast<unsigned*>(data[i]) = type ? unsigned{*type} : 0;
  }
  return CUDA_SUCCESS;
}

CUresult FakeCuda::Impl::occupancy_max_active_blocks(int* blocks, CUfunction function, int, std::size_t) {
  return give(blocks, as<FakeKernel>(function)->blocks_per_processor);
}

void* FakeCuda::Impl::allocate(std::size_t size, bool of_host) {
  std::size_t room = size + kAlignment;
  Block block{std::make_unique_for_overwrite<std::byte[]>(room), size, of_host};
  void* data = block.bytes.get();
  data = std::align(kAlignment, size, data, room);
  memory.emplace(reinterpret_cast<CUdeviceptr>(data), std::move(block));
  return data;
}

// As the driver does it: waits for all that runs, since that may use the memory.
CUresult FakeCuda::Impl::release(CUdeviceptr address) {
  Lock& lock = *held;
  changed.wait(lock, [&] {
    return broken != CUDA_SUCCESS ||
           std::all_of(streams.begin(), streams.end(), [](const auto& stream) { return stream->queue.empty(); });
  });
  return memory.erase(address) == 1 ? gone() : CUDA_ERROR_INVALID_VALUE;
}

CUresult FakeCuda::Impl::mem_host_alloc(void** data, std::size_t size, unsigned) {
  return made(data, allocate(size, true));
}
CUresult FakeCuda::Impl::mem_free_host(void* data) { return release(reinterpret_cast<CUdeviceptr>(data)); }
CUresult FakeCuda::Impl::mem_alloc(CUdeviceptr* data, std::size_t size) { return made(data, allocate(size, false)); }
CUresult FakeCuda::Impl::mem_free(CUdeviceptr data) { return release(data); }
CUresult FakeCuda::Impl::memset_d8_async(CUdeviceptr to, unsigned char value, std::size_t size, CUstream stream) {
  auto node = std::make_unique<FakeNode>();
  node->type = CU_GRAPH_NODE_TYPE_MEMSET;
  node->memset = {.dst = to, .pitch = 0, .value = value, .elementSize = 1, .width = size, .height = 1};
  return add(stream, std::move(node));
}

CUresult FakeCuda::Impl::copy(CUdeviceptr to, CUdeviceptr from, std::size_t size, CUstream stream) {
  auto node = std::make_unique<FakeNode>();
  node->type = CU_GRAPH_NODE_TYPE_MEMCPY;
  node->copy.srcMemoryType = CU_MEMORYTYPE_UNIFIED;
  node->copy.srcDevice = from;
  node->copy.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
  node->copy.dstDevice = to;
  node->copy.WidthInBytes = size;
  node->copy.Height = node->copy.Depth = 1;
  return add(stream, std::move(node));
}

CUresult FakeCuda::Impl::memcpy_dtod_async(CUdeviceptr to, CUdeviceptr from, std::size_t size, CUstream stream) {
  return copy(to, from, size, stream);
}

CUresult FakeCuda::Impl::memcpy_htod_async(CUdeviceptr to, const void* from, std::size_t size, CUstream stream) {
  return copy(to, reinterpret_cast<CUdeviceptr>(from), size, stream);
}

CUresult FakeCuda::Impl::memcpy_dtoh_async(void* to, CUdeviceptr from, std::size_t size, CUstream stream) {
  return copy(reinterpret_cast<CUdeviceptr>(to), from, size, stream);
}

// ---- Memory that is mapped

std::size_t FakeCuda::Impl::physical_taken() const {
  return std::accumulate(physical.begin(), physical.end(), std::size_t{0}, [](std::size_t sum, const auto& piece) {
    return sum + (piece->mapped || !piece->released ? piece->size : 0);
  });
}

FakeCuda::Impl::Range* FakeCuda::Impl::range_of(CUdeviceptr address, std::size_t size) {
  auto found = ranges.upper_bound(address);
  if (found == ranges.begin()) {
    return nullptr;
  }
  --found;
  return address + size <= found->first + found->second.size ? &found->second : nullptr;
}

CUresult FakeCuda::Impl::mem_get_info(std::size_t* free, std::size_t* total) {
  *free = options.memory - physical_taken();
  return give(total, options.memory);
}

CUresult FakeCuda::Impl::mem_get_allocation_granularity(std::size_t* size, const CUmemAllocationProp*,
                                                        CUmemAllocationGranularity_flags) {
  return give(size, kGranularity);
}

CUresult FakeCuda::Impl::mem_address_reserve(CUdeviceptr* address, std::size_t size, std::size_t, CUdeviceptr,
                                             unsigned long long) {
  if (size == 0 || size % kGranularity != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  void* const data = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  ranges[reinterpret_cast<CUdeviceptr>(data)].size = size;
  return made(address, data);
}

CUresult FakeCuda::Impl::mem_address_free(CUdeviceptr address, std::size_t size) {
  const auto found = ranges.find(address);
  if (found == ranges.end() || found->second.size != size || !found->second.mapped.empty()) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  munmap(reinterpret_cast<void*>(address), size);
  ranges.erase(found);
  return gone();
}

CUresult FakeCuda::Impl::mem_create(CUmemGenericAllocationHandle* handle, std::size_t size, const CUmemAllocationProp*,
                                    unsigned long long) {
  if (size == 0 || size % kGranularity != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (physical_taken() + size > options.memory) {
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  physical.push_back(std::make_unique<Physical>(Physical{.size = size}));
  return made(handle, physical.back().get());
}

CUresult FakeCuda::Impl::mem_release(CUmemGenericAllocationHandle handle) {
  as<Physical>(handle)->released = true;
  return gone();
}

CUresult FakeCuda::Impl::mem_map(CUdeviceptr address, std::size_t size, std::size_t,
                                 CUmemGenericAllocationHandle handle, unsigned long long) {
  Range* const range = range_of(address, size);
  auto* const piece = as<Physical>(handle);
  if (range == nullptr || piece->size != size || piece->mapped || address % kGranularity != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  for (const auto& [at, other] : range->mapped) {
    if (address < at + other->size && at < address + size) {
      return CUDA_ERROR_INVALID_VALUE;
    }
  }
  piece->mapped = true;
  range->mapped[address] = piece;
  ++alive;
  return CUDA_SUCCESS;
}

CUresult FakeCuda::Impl::mem_unmap(CUdeviceptr address, std::size_t size) {
  Range* const range = range_of(address, size);
  if (range == nullptr || !range->mapped.contains(address) || range->mapped[address]->size != size) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  range->mapped[address]->mapped = false;
  range->mapped.erase(address);
  void* const data = reinterpret_cast<void*>(address);
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  return mmap(data, size, PROT_NONE, flags, -1, 0) == data ? gone() : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult FakeCuda::Impl::mem_set_access(CUdeviceptr address, std::size_t size, const CUmemAccessDesc*, std::size_t) {
  Range* const range = range_of(address, size);
  if (range == nullptr || !range->mapped.contains(address)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  return mprotect(reinterpret_cast<void*>(address), size, PROT_READ | PROT_WRITE) == 0 ? CUDA_SUCCESS
                                                                                       : CUDA_ERROR_OUT_OF_MEMORY;
}

}  // namespace tessera::device::test
