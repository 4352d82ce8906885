#include "engine/onnxruntime/cuda/provider_calls.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/imports.h"
#include "base/log.h"

namespace tessera::engine {
namespace {

constexpr const char* kProvider = "libonnxruntime_providers_cuda.so";
constexpr unsigned kNonBlocking = 1;  // cudaStreamNonBlocking
constexpr int kWithinCard = 3;        // cudaMemcpyDeviceToDevice
constexpr int kNotInitialized = 1;    // of cuBLAS and cuDNN: no handle

thread_local const ProviderCalls::Load* t_load = nullptr;  // that the thread is in

// The process's one object: what the provider's code is led to has no argument to carry it.
std::atomic<ProviderCalls*> g_calls{nullptr};

ProviderCalls& calls() { return *g_calls.load(std::memory_order_acquire); }

// The functions that take the imports' places.
int replace_memcpy(void* to, const void* from, std::size_t bytes, int kind) {
  return calls().memcpy(to, from, bytes, kind);
}
int replace_stream_synchronize(void* stream) { return calls().stream_synchronize(stream); }
int replace_device_synchronize() { return calls().device_synchronize(); }
int replace_malloc(void** at, std::size_t bytes) { return calls().malloc(at, bytes); }
int replace_free(void* at) { return calls().free(at); }
template <ProviderCalls::Library library>
int replace_create(void** handle) {
  return calls().create(library, handle);
}
template <ProviderCalls::Library library>
int replace_destroy(void* handle) {
  return calls().destroy(library, handle);
}

// The provider opens cuDNN itself and looks its functions up one by one.
void* replace_dlsym(void* library, const char* name) {
  void* const found = ::dlsym(library, name);
  if (found != nullptr && std::strcmp(name, "cudnnCreate") == 0) {
    calls().found_dnn(reinterpret_cast<int (*)(void**)>(found), nullptr);
    return reinterpret_cast<void*>(&replace_create<ProviderCalls::Library::kDnn>);
  }
  if (found != nullptr && std::strcmp(name, "cudnnDestroy") == 0) {
    calls().found_dnn(nullptr, reinterpret_cast<int (*)(void*)>(found));
    return reinterpret_cast<void*>(&replace_destroy<ProviderCalls::Library::kDnn>);
  }
  return found;
}

template <typename Function>
void* address(Function* function) {
  return reinterpret_cast<void*>(function);
}

template <typename Function>
Status find(const LoadedLibrary& library, const char* symbol, Function*& function) {
  function = reinterpret_cast<Function*>(library.imported(symbol));
  return function != nullptr ? ok_status() : Status(unavailable(library.path() + " has no " + symbol));
}

// The library that the provider will open as well.
Status open_dnn(ProviderCalls& calls) {
  void* const library = ::dlopen("libcudnn.so.9", RTLD_LAZY);
  if (library == nullptr) {
    return unavailable("cuDNN 9 cannot be opened: put its libraries on LD_LIBRARY_PATH (" + std::string(::dlerror()) +
                       ")");
  }
  calls.found_dnn(reinterpret_cast<int (*)(void**)>(::dlsym(library, "cudnnCreate")),
                  reinterpret_cast<int (*)(void*)>(::dlsym(library, "cudnnDestroy")));
  return ok_status();
}

Result<CudaCalls> calls_of(const LoadedLibrary& provider) {
  CudaCalls found;
  TESSERA_RETURN_IF_ERROR(find(provider, "cudaGetDevice", found.get_device));
  TESSERA_RETURN_IF_ERROR(find(provider, "cudaMemcpy", found.memcpy));
  TESSERA_RETURN_IF_ERROR(find(provider, "cudaMemcpyAsync", found.memcpy_async));
  TESSERA_RETURN_IF_ERROR(find(provider, "cudaStreamCreateWithFlags", found.stream_create));
  TESSERA_RETURN_IF_ERROR(find(provider, "cudaStreamSynchronize", found.stream_synchronize));
  TESSERA_RETURN_IF_ERROR(find(provider, "cudaDeviceSynchronize", found.device_synchronize));
  TESSERA_RETURN_IF_ERROR(find(provider, "cudaMalloc", found.malloc));
  TESSERA_RETURN_IF_ERROR(find(provider, "cudaFree", found.free));
  TESSERA_RETURN_IF_ERROR(find(provider, "cublasCreate_v2", found.blas_create));
  TESSERA_RETURN_IF_ERROR(find(provider, "cublasDestroy_v2", found.blas_destroy));
  TESSERA_RETURN_IF_ERROR(find(provider, "cublasLtCreate", found.blas_lt_create));
  TESSERA_RETURN_IF_ERROR(find(provider, "cublasLtDestroy", found.blas_lt_destroy));
  return found;
}

}  // namespace

// What one thread has of one card. Owned by that thread, but for `of`, which the pool guards.
struct ProviderCalls::Handles {
  const int device;
  std::map<Library, void*> of;
  void* copy_stream = nullptr;
};

// Thread-safe. Handles of threads that are there, and of those that have ended, for the next ones.
class ProviderCalls::HandlePool {
 public:
  Handles* lease(int device) {
    const std::lock_guard lock(mutex_);
    if (const auto found = idle_.find(device); found != idle_.end()) {
      Handles* const handles = found->second;
      idle_.erase(found);
      return handles;
    }
    return add(device);
  }
  void give_back(Handles* handles) {
    const std::lock_guard lock(mutex_);
    idle_.emplace(handles->device, handles);
  }

  void count_loaders(int device, int more) {
    const std::lock_guard lock(mutex_);
    loaders_[device] += more;
  }
  // Empty handles where the card has too few for all threads that may load and one that runs; else nullptr.
  Handles* lease_missing(int device) {
    const std::lock_guard lock(mutex_);
    const auto there =
        std::count_if(all_.begin(), all_.end(), [&](const auto& handles) { return handles->device == device; });
    return there <= loaders_[device] ? add(device) : nullptr;
  }

  void* find(const Handles& handles, Library library) {
    const std::lock_guard lock(mutex_);
    const auto found = handles.of.find(library);
    return found == handles.of.end() ? nullptr : found->second;
  }
  void keep(Handles& handles, Library library, void* handle) {
    const std::lock_guard lock(mutex_);
    handles.of.emplace(library, handle);
  }
  bool has(Library library, void* handle) {
    const std::lock_guard lock(mutex_);
    return std::any_of(all_.begin(), all_.end(), [&](const auto& handles) {
      const auto found = handles->of.find(library);
      return found != handles->of.end() && found->second == handle;
    });
  }

 private:
  Handles* add(int device) {
    return all_.emplace_back(std::make_unique<Handles>(Handles{.device = device, .of = {}})).get();
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Handles>> all_;
  std::multimap<int, Handles*> idle_;      // by card
  std::map<int, std::ptrdiff_t> loaders_;  // likewise, how many threads may load
};

ProviderCalls::LoaderHandles::LoaderHandles(std::shared_ptr<HandlePool> pool, int device)
    : pool_(std::move(pool)), device_(device) {
  pool_->count_loaders(device_, 1);
}
ProviderCalls::LoaderHandles::~LoaderHandles() { pool_->count_loaders(device_, -1); }

ProviderCalls::ProviderCalls(const CudaCalls& calls) : calls_(calls), handles_(std::make_shared<HandlePool>()) {}

ProviderCalls::Load::Load(void* stream, MemorySource& memory)
    : stream_(stream), memory_(memory), outer_(std::exchange(t_load, this)) {}
ProviderCalls::Load::~Load() { t_load = outer_; }

Result<std::unique_ptr<ProviderCalls::LoaderHandles>> ProviderCalls::install() {
  static std::mutex installing;
  const std::lock_guard lock(installing);
  TESSERA_ASSIGN_OR_RETURN(const LoadedLibrary provider, LoadedLibrary::find(kProvider));
  if (g_calls.load(std::memory_order_acquire) == nullptr) {
    TESSERA_ASSIGN_OR_RETURN(const CudaCalls found, calls_of(provider));
    auto made = std::make_unique<ProviderCalls>(found);
    TESSERA_RETURN_IF_ERROR(open_dnn(*made));
    g_calls.store(made.release(), std::memory_order_release);  // for as long as the process lives
  }
  const std::array replacements{
      ImportReplacement{"cudaMemcpy", address(replace_memcpy)},
      ImportReplacement{"cudaStreamSynchronize", address(replace_stream_synchronize)},
      ImportReplacement{"cudaDeviceSynchronize", address(replace_device_synchronize)},
      ImportReplacement{"cudaMalloc", address(replace_malloc)},
      ImportReplacement{"cudaFree", address(replace_free)},
      ImportReplacement{"cublasCreate_v2", address(replace_create<Library::kBlas>)},
      ImportReplacement{"cublasDestroy_v2", address(replace_destroy<Library::kBlas>)},
      ImportReplacement{"cublasLtCreate", address(replace_create<Library::kBlasLt>)},
      ImportReplacement{"cublasLtDestroy", address(replace_destroy<Library::kBlasLt>)},
      ImportReplacement{"dlsym", address(replace_dlsym)},
  };
  TESSERA_ASSIGN_OR_RETURN(const std::size_t changed, provider.replace(replacements));
  if (changed != 0) {
    log(LogLevel::kDebug, "calls of ONNX Runtime's CUDA provider go through us",
        {{"imports", static_cast<std::int64_t>(changed)}});
  }
  return calls().make_handles();
}

const ProviderCalls* ProviderCalls::installed() { return g_calls.load(std::memory_order_acquire); }

Result<std::unique_ptr<ProviderCalls::LoaderHandles>> ProviderCalls::make_handles() {
  int device = 0;
  if (calls_.get_device(&device) != 0) {
    return unavailable("CUDA's runtime does not say which card is current");
  }
  auto loader = std::make_unique<LoaderHandles>(handles_, device);
  while (Handles* const missing = handles_->lease_missing(device)) {
    const Status made = make_all(*missing);
    handles_->give_back(missing);
    if (!made.ok()) {
      return made.error();
    }
  }
  return loader;
}

Status ProviderCalls::make_all(Handles& handles) {
  if (calls_.stream_create(&handles.copy_stream, kNonBlocking) != 0) {
    return internal_error("no stream can be made for copies of weights");
  }
  for (const Library library : {Library::kBlas, Library::kBlasLt, Library::kDnn}) {
    TESSERA_RETURN_IF_ERROR(handle_of(handles, library));
  }
  return ok_status();
}

ProviderCalls::Counts ProviderCalls::counts() const {
  return {handles_made_, handles_given_, copies_, waits_, blocks_given_};
}

// nullptr: the runtime does not say which card is current.
ProviderCalls::Handles* ProviderCalls::handles_of_thread() {
  // A thread's handles by pool and card, given back where the thread ends.
  struct Lease {
    std::weak_ptr<HandlePool> pool;
    Handles* handles = nullptr;
  };
  struct Leases {
    std::map<std::pair<const HandlePool*, int>, Lease> held;
    ~Leases() {
      for (const auto& [key, lease] : held) {
        if (const auto pool = lease.pool.lock()) {
          pool->give_back(lease.handles);
        }
      }
    }
  };
  thread_local Leases leases;
  int device = 0;
  if (calls_.get_device(&device) != 0) {
    return nullptr;
  }
  Lease& lease = leases.held[{handles_.get(), device}];
  if (lease.pool.expired()) {
    lease = {handles_, handles_->lease(device)};
  }
  return lease.handles;
}

// Made now where it is not there yet.
Result<void*> ProviderCalls::handle_of(Handles& handles, Library library) {
  if (void* const kept = handles_->find(handles, library)) {
    return kept;
  }
  int (*make)(void**) = nullptr;
  {
    const std::lock_guard lock(mutex_);
    make = library == Library::kBlas     ? calls_.blas_create
           : library == Library::kBlasLt ? calls_.blas_lt_create
                                         : calls_.dnn_create;
  }
  void* made = nullptr;
  if (const int failed = make(&made); failed != 0) {
    return Error(ErrorCode::kInternal,
                 "a handle of a CUDA library cannot be made (status " + std::to_string(failed) + ")");
  }
  handles_->keep(handles, library, made);
  ++handles_made_;
  return made;
}

int ProviderCalls::create(Library library, void** handle) {
  Handles* const handles = handles_of_thread();
  const auto found =
      handles != nullptr ? handle_of(*handles, library) : Result<void*>(internal_error("no card is current"));
  if (!found) {
    log(LogLevel::kWarning, "a session gets no handle", {{"reason", found.error().message()}});
    return kNotInitialized;
  }
  ++handles_given_;
  *handle = *found;
  return 0;
}

int ProviderCalls::destroy(Library library, void* handle) {
  if (handles_->has(library, handle)) {
    return 0;
  }
  int (*let_go)(void*) = nullptr;
  {
    const std::lock_guard lock(mutex_);
    let_go = library == Library::kBlas     ? calls_.blas_destroy
             : library == Library::kBlasLt ? calls_.blas_lt_destroy
                                           : calls_.dnn_destroy;
  }
  return let_go(handle);
}

void ProviderCalls::found_dnn(int (*create)(void**), int (*destroy)(void*)) {
  const std::lock_guard lock(mutex_);
  calls_.dnn_create = create != nullptr ? create : calls_.dnn_create;
  calls_.dnn_destroy = destroy != nullptr ? destroy : calls_.dnn_destroy;
}

int ProviderCalls::memcpy(void* to, const void* from, std::size_t bytes, int kind) {
  Handles* const handles = t_load != nullptr ? handles_of_thread() : nullptr;
  if (handles == nullptr ||
      (handles->copy_stream == nullptr && calls_.stream_create(&handles->copy_stream, kNonBlocking) != 0)) {
    return calls_.memcpy(to, from, bytes, kind);
  }
  ++copies_;
  // What is copied within a card is copied by processors: those of the load's slice.
  void* const stream = kind == kWithinCard ? t_load->stream() : handles->copy_stream;
  const int queued = calls_.memcpy_async(to, from, bytes, kind, stream);
  return queued != 0 ? queued : calls_.stream_synchronize(stream);
}

int ProviderCalls::stream_synchronize(void* stream) {
  if (t_load != nullptr && stream == nullptr) {
    ++waits_;
    return 0;  // nothing of a load is queued on the legacy stream, and what is on others never waited for it
  }
  return calls_.stream_synchronize(stream);
}

int ProviderCalls::device_synchronize() {
  if (t_load != nullptr) {
    ++waits_;
    return calls_.stream_synchronize(t_load->stream());
  }
  return calls_.device_synchronize();
}

int ProviderCalls::malloc(void** at, std::size_t bytes) {
  const Load* load = t_load;
  const auto block = load != nullptr ? load->memory().allocate(bytes) : Result<CUdeviceptr>(CUdeviceptr{0});
  if (!block || *block == 0) {
    return calls_.malloc(at, bytes);
  }
  *at = reinterpret_cast<void*>(*block);
  const std::lock_guard lock(mutex_);
  blocks_[*at] = &load->memory();
  ++blocks_given_;
  return 0;
}

int ProviderCalls::free(void* at) {
  MemorySource* memory = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = blocks_.find(at); found != blocks_.end()) {
      memory = found->second;
      blocks_.erase(found);
    }
  }
  if (memory == nullptr) {
    return calls_.free(at);
  }
  memory->release(reinterpret_cast<CUdeviceptr>(at));
  return 0;
}

}  // namespace tessera::engine
