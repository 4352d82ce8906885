// What ONNX Runtime's CUDA provider asks of CUDA's libraries while models are loaded, done so that nobody who is served
// waits for it. The provider has no seam for this: its imports are replaced (base/imports.h, decision 047).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "base/result.h"
#include "engine/onnxruntime/cuda/device_allocator.h"

namespace tessera::engine {

// The functions behind the replacements, as the provider would have called them; a test gives its own. Status codes and
// enumerations are numbers: 0 is success in all these libraries.
struct CudaCalls {
  int (*get_device)(int* device) = nullptr;
  int (*memcpy)(void* to, const void* from, std::size_t bytes, int kind) = nullptr;
  int (*memcpy_async)(void* to, const void* from, std::size_t bytes, int kind, void* stream) = nullptr;
  int (*stream_create)(void** stream, unsigned flags) = nullptr;
  int (*stream_synchronize)(void* stream) = nullptr;
  int (*device_synchronize)() = nullptr;
  int (*malloc)(void** at, std::size_t bytes) = nullptr;
  int (*free)(void* at) = nullptr;
  int (*blas_create)(void** handle) = nullptr;
  int (*blas_destroy)(void* handle) = nullptr;
  int (*blas_lt_create)(void** handle) = nullptr;
  int (*blas_lt_destroy)(void* handle) = nullptr;
  int (*dnn_create)(void** handle) = nullptr;
  int (*dnn_destroy)(void* handle) = nullptr;
};

// Thread-safe. One a process, which lives as long: the provider's code calls into it.
//
// - A library's handle is made once a thread and card, and given to every session that is made on that thread: making
//   one pins memory, makes streams and loads two modules with data of their own, of which a process that has more than
//   a few runs every kernel 0.35 us slower for good; letting go of one waits for all kernels. It is never let go of: a
//   thread that ends leaves its handles to the next.
// - A copy that the caller waits for is made on a stream of the thread's own, which alone is waited for. In one piece
//   and on the legacy stream, launches would wait for all of it.
// - Waiting for the whole device waits for the work of the calling thread's load alone.
// - Memory of the card that it takes from the driver itself comes from a heap of the load's: giving memory back to the
//   driver waits for every kernel that runs.
class ProviderCalls {
 public:
  explicit ProviderCalls(const CudaCalls& calls);
  ~ProviderCalls() = default;
  ProviderCalls(const ProviderCalls&) = delete;
  ProviderCalls& operator=(const ProviderCalls&) = delete;

  // As long as it lives the current card has handles for one more thread that loads, and, beside those of all of them,
  // for one that runs a model kernel by kernel. Any thread.
  class LoaderHandles;

  // Has the provider, which ONNX Runtime has loaded, call this process's one object from now on, and makes an engine's
  // handles on the current card: to be called before anybody is served.
  // Error: kUnavailable where the provider is not as it should be.
  static Result<std::unique_ptr<LoaderHandles>> install();
  static const ProviderCalls* installed();  // nullptr: not yet

  // While it lives the calling thread loads something: `stream` is where it queues, `memory` where its memory comes
  // from. Owned by that thread; nests.
  class Load {
   public:
    Load(void* stream, MemorySource& memory);
    ~Load();
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    void* stream() const { return stream_; }
    MemorySource& memory() const { return memory_; }

   private:
    void* const stream_;
    MemorySource& memory_;
    const Load* const outer_;
  };

  // How often each replacement stood in for a call, since the start.
  struct Counts {
    std::uint64_t handles_made = 0;
    std::uint64_t handles_given = 0;
    std::uint64_t copies = 0;
    std::uint64_t waits = 0;
    std::uint64_t blocks = 0;
  };
  Counts counts() const;

  // The replacements, with the types of what they replace.
  int memcpy(void* to, const void* from, std::size_t bytes, int kind);
  int stream_synchronize(void* stream);
  int device_synchronize();
  int malloc(void** at, std::size_t bytes);
  int free(void* at);
  enum class Library { kBlas, kBlasLt, kDnn };
  int create(Library library, void** handle);
  int destroy(Library library, void* handle);
  // cuDNN is opened by the provider where it is first needed, so its functions are known late.
  void found_dnn(int (*create)(void**), int (*destroy)(void*));

  Result<std::unique_ptr<LoaderHandles>> make_handles();

 private:
  class HandlePool;
  struct Handles;
  Status make_all(Handles& handles);

  Handles* handles_of_thread();
  Result<void*> handle_of(Handles& handles, Library library);

  CudaCalls calls_;  // cuDNN's two guarded by mutex_
  const std::shared_ptr<HandlePool> handles_;
  std::mutex mutex_;  // guards blocks_; never on a request's way
  std::map<void*, MemorySource*> blocks_;

  std::atomic<std::uint64_t> handles_made_{0}, handles_given_{0}, copies_{0}, waits_{0}, blocks_given_{0};
};

class ProviderCalls::LoaderHandles {
 public:
  LoaderHandles(std::shared_ptr<HandlePool> pool, int device);
  ~LoaderHandles();
  LoaderHandles(const LoaderHandles&) = delete;
  LoaderHandles& operator=(const LoaderHandles&) = delete;

 private:
  const std::shared_ptr<HandlePool> pool_;
  const int device_;
};

}  // namespace tessera::engine
