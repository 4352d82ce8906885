// Memory of the driver in memory.
#include <algorithm>

#include "tests/support/cuda/fake_cuda_impl.h"

namespace tessera::device::test {
namespace {

constexpr std::size_t kAlignment = 512;

}  // namespace

CUresult FakeCuda::Impl::pointer_get_attribute(void* data, CUpointer_attribute, CUdeviceptr address) {
  for (const auto& [begin, block] : memory) {
    if (address >= begin && address < begin + block.size) {
      *static_cast<unsigned*>(data) = block.of_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
      return CUDA_SUCCESS;
    }
  }
  return CUDA_ERROR_INVALID_VALUE;
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

CUresult FakeCuda::Impl::memcpy_dtod_async(CUdeviceptr to, CUdeviceptr from, std::size_t size, CUstream stream) {
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

}  // namespace tessera::device::test
