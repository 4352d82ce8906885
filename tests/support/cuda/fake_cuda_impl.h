// The inside of the driver in memory, for its own sources: what it keeps, and its entries, named as the table's
// members.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/cuda/fake_cuda.h"

namespace tessera::device::test {

template <typename Fake, typename Handle>
Fake* as(Handle handle) {
  return reinterpret_cast<Fake*>(handle);
}

// fake_graphs.cc
std::unique_ptr<FakeNode> copy_of(const FakeNode& node);
std::unique_ptr<FakeNode> kernel_node(FakeKernel* kernel, FakeContext* context, void** values);

// Thread-safe through enter(), which calls the entries with the mutex held.
struct FakeCuda::Impl {
  using Lock = std::unique_lock<std::mutex>;

  struct Block {
    std::unique_ptr<std::byte[]> bytes;  // with room to align, and not touched: pools are large
    std::size_t size;
    bool of_host;
  };
  struct Description {
    Processors processors;
  };
  // Memory that can be mapped.
  struct Physical {
    std::size_t size = 0;
    bool released = false;
    bool mapped = false;
  };
  // Addresses that are reserved, and what is mapped there. To touch others is a segmentation fault.
  struct Range {
    std::size_t size = 0;
    std::map<CUdeviceptr, Physical*> mapped;
  };

  explicit Impl(const Options& wanted);
  ~Impl();

  template <typename Method, typename... Arguments>
  static CUresult enter(const char* entry, Method method, Arguments... arguments) {
    if (current == nullptr) {
      return CUDA_ERROR_DEINITIALIZED;
    }
    Impl& impl = *current;
    Lock lock(impl.mutex);
    impl.calls.emplace_back(entry);
    const auto failure = impl.failures.find(entry);
    if (failure != impl.failures.end() && failure->second.second-- == 0) {
      const CUresult result = failure->second.first;
      impl.failures.erase(failure);
      return result;
    }
    if (impl.broken != CUDA_SUCCESS && std::string_view(entry) != "cuGetErrorName") {
      return impl.broken;
    }
    impl.held = &lock;
    return (impl.*method)(arguments...);
  }

#define TESSERA_FAKE_DECLARE(member, entry) decltype(::entry) member;
  TESSERA_CUDA_ENTRIES(TESSERA_FAKE_DECLARE)
#undef TESSERA_FAKE_DECLARE

  // fake_graphs.cc
  CUresult neighbours(CUgraphNode node, bool before, CUgraphNode* nodes, CUgraphEdgeData* data, std::size_t* count);
  static void set_params(FakeNode& node, const CUDA_KERNEL_NODE_PARAMS& params);
  static CUresult add_node(CUgraphNode* added, CUgraph graph, const CUgraphNode* after, std::size_t count,
                           std::unique_ptr<FakeNode> node, CUcontext context);

  // fake_memory.cc
  void* allocate(std::size_t size, bool of_host);
  CUresult release(CUdeviceptr address);
  std::optional<CUmemorytype> type_of(CUdeviceptr address) const;
  Range* range_of(CUdeviceptr address, std::size_t size);
  std::size_t physical_taken() const;
  CUresult copy(CUdeviceptr to, CUdeviceptr from, std::size_t size, CUstream stream);

  // fake_streams.cc
  CUresult add(CUstream stream, std::unique_ptr<FakeNode> node);
  static CUresult queue(CUstream stream, FakeCommand command);
  void run();
  bool step(FakeCommand& command);
  bool node_ended(FakeCommand& command, FakeNode& node);

  template <typename T, typename V>
  static CUresult give(T* to, V value) {
    *to = static_cast<T>(value);
    return CUDA_SUCCESS;
  }
  template <typename Handle, typename Fake>
  CUresult made(Handle* handle, Fake* fake) {
    *handle = reinterpret_cast<Handle>(fake);
    ++alive;
    return CUDA_SUCCESS;
  }
  CUresult gone() {
    --alive;
    return CUDA_SUCCESS;
  }
  // The calling thread's contexts, the current one last.
  std::vector<FakeContext*>& stack() { return stacks[std::this_thread::get_id()]; }

  const Options options;
  mutable std::mutex mutex;  // guards all below
  std::condition_variable changed;
  Lock* held = nullptr;  // the lock of the call that is being made
  std::vector<std::string> calls;
  std::map<std::string, std::pair<CUresult, int>, std::less<>> failures;
  CUresult broken = CUDA_SUCCESS;
  bool copies_held = false;
  bool cards_apart = false;
  std::size_t alive = 0;
  unsigned splits = 0;
  FakeContext primary;
  std::map<std::thread::id, std::vector<FakeContext*>> stacks;
  // What was destroyed is kept where a command may still name it.
  std::vector<std::unique_ptr<Description>> descriptions;
  std::vector<std::unique_ptr<FakeContext>> contexts;
  std::vector<std::unique_ptr<FakeStream>> streams;
  std::vector<std::unique_ptr<FakeEvent>> events;
  std::vector<std::unique_ptr<FakeGraph>> graphs;
  std::vector<std::unique_ptr<FakeExec>> execs;
  std::vector<std::unique_ptr<FakeKernel>> kernels;
  std::map<CUdeviceptr, Block> memory;
  std::vector<std::unique_ptr<Physical>> physical;
  std::map<CUdeviceptr, Range> ranges;
  bool closing = false;
  std::thread thread;
};

}  // namespace tessera::device::test
