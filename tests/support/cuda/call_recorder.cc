#include "tests/support/cuda/call_recorder.h"

#include <dlfcn.h>
#include <execinfo.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <utility>

#include "tests/support/cuda/call_rules.h"

namespace tessera::device::contract {
namespace {

// What of cupti_callbacks.h is needed: part of CUPTI's binary interface since its first version.
struct CallbackData {
  int site;  // 0: the call begins
  const char* function;
  const void* parameters;  // the arguments, one after the other
  void* result;
  const char* symbol;
  CUcontext context;
  std::uint32_t context_id;
  std::uint64_t* correlation;
  std::uint32_t correlation_id;
};
enum Domain : int { kDriverApi = 1, kRuntimeApi = 2 };
using Callback = void (*)(void* self, int domain, std::uint32_t id, const void* data);
using Subscriber = struct OpaqueSubscriber*;
using Subscribe = int (*)(Subscriber*, Callback, void* self);
using Unsubscribe = int (*)(Subscriber);
using EnableDomain = int (*)(std::uint32_t enable, Subscriber, int domain);

// Arguments of the calls that the rules look into.
struct CopyArguments {  // cuMemcpyHtoD, cuMemcpy, cudaMemcpy (a kind follows)
  std::uint64_t to;
  std::uint64_t from;
  std::size_t bytes;
  int kind;
};
constexpr int kHostToDevice = 1;  // cudaMemcpyKind
constexpr int kDefault = 4;

struct LaunchArguments {
  CUfunction function;
  std::array<unsigned, 7> sizes;
  CUstream stream;
};
struct RuntimeLaunchArguments {
  const void* function;
  std::array<unsigned, 6> sizes;
  void** values;
  std::size_t shared;
  CUstream stream;
};

// Which calls carry a stream, and as which argument of 8 bytes.
struct StreamPlace {
  std::string_view name;
  std::size_t argument;
};
constexpr std::array<StreamPlace, 10> kStreamPlaces{{{"cuStreamSynchronize", 0},
                                                     {"cudaStreamSynchronize", 0},
                                                     {"cuGraphLaunch", 1},
                                                     {"cudaGraphLaunch", 1},
                                                     {"cuMemcpyHtoDAsync", 3},
                                                     {"cuMemcpyDtoHAsync", 3},
                                                     {"cuMemcpyDtoDAsync", 3},
                                                     {"cuMemcpyAsync", 3},
                                                     {"cuMemsetD8Async", 3},
                                                     {"cuMemsetD32Async", 3}}};
// Sets memory at once: a kernel of the legacy stream.
constexpr std::array<std::string_view, 5> kSets{"cuMemsetD8", "cuMemsetD16", "cuMemsetD32", "cudaMemset",
                                                "cudaMemset2D"};

template <typename T>
const T& as(const void* parameters) {
  return *static_cast<const T*>(parameters);
}

bool is_shared_stream(CUstream stream) { return stream == nullptr || stream == CU_STREAM_LEGACY; }

class Cupti final : public CallRecorder {
 public:
  explicit Cupti(std::shared_ptr<Gpu> gpu) : gpu_(std::move(gpu)) {}
  ~Cupti() override {
    if (subscriber_ != nullptr) {
      static_cast<void>(unsubscribe_(subscriber_));
    }
  }

  Status start() {
    void* library = nullptr;
    for (const char* name : {"libcupti.so.13", "libcupti.so.12", "libcupti.so"}) {
      library = library != nullptr ? library : dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    if (library == nullptr) {
      return unavailable("this host has no CUPTI (libcupti.so.13), which comes with CUDA's toolkit and with PyTorch");
    }
    const auto subscribe = reinterpret_cast<Subscribe>(dlsym(library, "cuptiSubscribe"));
    const auto enable = reinterpret_cast<EnableDomain>(dlsym(library, "cuptiEnableDomain"));
    unsubscribe_ = reinterpret_cast<Unsubscribe>(dlsym(library, "cuptiUnsubscribe"));
    if (subscribe == nullptr || enable == nullptr || unsubscribe_ == nullptr) {
      return unavailable("this host's CUPTI lacks callbacks");
    }
    if (const int failed = subscribe(&subscriber_, &Cupti::called, this); failed != 0) {
      subscriber_ = nullptr;
      return unavailable("CUPTI takes no subscriber (" + std::to_string(failed) + ")");
    }
    for (const int domain : {kDriverApi, kRuntimeApi}) {
      if (const int failed = enable(1, subscriber_, domain); failed != 0) {
        return unavailable("CUPTI records no calls (" + std::to_string(failed) + ")");
      }
    }
    return ok_status();
  }

  RecordedCalls take() override {
    const std::lock_guard lock(mutex_);
    return std::exchange(calls_, {});
  }

 private:
  static void called(void* self, int domain, std::uint32_t /*id*/, const void* data) {
    static thread_local bool inside = false;  // the rules ask the driver, too
    const auto& call = *static_cast<const CallbackData*>(data);
    if (inside || (domain != kDriverApi && domain != kRuntimeApi) || call.site != 0 || call.function == nullptr) {
      return;
    }
    inside = true;
    static_cast<Cupti*>(self)->note(call);
    inside = false;
  }

  void note(const CallbackData& data) {
    const CudaCall call = read(data);
    const auto why = why_forbidden(call);
    const std::string from = why ? callers() : "";
    const std::lock_guard lock(mutex_);
    ++calls_.counts[call.name];
    if (why) {
      ++calls_.forbidden[call.name + ": " + *why];
      calls_.callers.insert(call.name + " by " + from);
    }
  }

  // The libraries that lead to this call, each with its place in it where it has no name: the last caller first.
  static std::string callers() {
    std::array<void*, 60> frames{};
    const int count = backtrace(frames.data(), static_cast<int>(frames.size()));
    std::string text;
    const void* last = nullptr;
    for (int i = 0; i < count; ++i) {
      Dl_info info{};
      void* const at = frames[static_cast<std::size_t>(i)];
      if (dladdr(at, &info) == 0 || info.dli_fname == nullptr || info.dli_fbase == last) {
        continue;
      }
      last = info.dli_fbase;
      const std::string path = info.dli_fname;
      const auto* const name = info.dli_sname;
      text +=
          (text.empty() ? "" : " < ") + path.substr(path.rfind('/') + 1) + ":" +
          (name != nullptr ? std::string(name)
                           : std::to_string(static_cast<const char*>(at) - static_cast<const char*>(info.dli_fbase)));
    }
    return text;
  }

  CudaCall read(const CallbackData& data) const {
    CudaCall call{.name = plain_name(data.function)};
    call.in_primary = data.context == nullptr || data.context == gpu_->context();
    const std::string_view name = call.name;
    const bool per_thread = std::string_view(data.function).find("_pt") != std::string_view::npos;
    if (data.parameters == nullptr) {
      return call;
    }
    if (name == "cuMemcpyHtoD" || name == "cuMemcpy" || name == "cudaMemcpy") {
      const auto& copy = as<CopyArguments>(data.parameters);
      call.bytes = copy.bytes;
      call.to_card = name == "cudaMemcpy" ? copy.kind == kHostToDevice || copy.kind == kDefault : true;
      call.pageable = call.to_card && is_pageable(copy.from);
    } else if (name == "cuMemFree" || name == "cudaFree") {
      call.null_handle = as<std::uint64_t>(data.parameters) == 0;
    } else if (!per_thread) {
      call.null_stream = on_shared_stream(name, data.parameters);
    }
    return call;
  }

  static bool on_shared_stream(std::string_view name, const void* parameters) {
    if (name == "cuLaunchKernel" || name == "cuLaunchCooperativeKernel") {
      return is_shared_stream(as<LaunchArguments>(parameters).stream);
    }
    if (name == "cuLaunchKernelEx") {
      const auto* config = as<const CUlaunchConfig*>(parameters);
      return config != nullptr && is_shared_stream(config->hStream);
    }
    if (name == "cudaLaunchKernel") {
      return is_shared_stream(as<RuntimeLaunchArguments>(parameters).stream);
    }
    if (std::find(kSets.begin(), kSets.end(), name) != kSets.end()) {
      return true;
    }
    const auto* found =
        std::find_if(kStreamPlaces.begin(), kStreamPlaces.end(), [&](const auto& each) { return each.name == name; });
    return found != kStreamPlaces.end() && is_shared_stream(static_cast<const CUstream*>(parameters)[found->argument]);
  }

  // What the driver does not know of.
  bool is_pageable(std::uint64_t address) const {
    unsigned type = 0;
    return gpu_->driver().pointer_get_attribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address) != CUDA_SUCCESS;
  }

  const std::shared_ptr<Gpu> gpu_;
  Subscriber subscriber_ = nullptr;
  Unsubscribe unsubscribe_ = nullptr;
  std::mutex mutex_;
  RecordedCalls calls_;
};

std::string to_json(const std::map<std::string, std::size_t>& counts) {
  std::string text;
  for (const auto& [name, count] : counts) {
    text += (text.empty() ? "\"" : ",\"") + name + "\":" + std::to_string(count);
  }
  return "{" + text + "}";
}

}  // namespace

std::string to_json(const RecordedCalls& calls) {
  return "{\"forbidden\":" + to_json(calls.forbidden) + ",\"calls\":" + to_json(calls.counts) + "}";
}

Result<std::unique_ptr<CallRecorder>> CallRecorder::start(std::shared_ptr<Gpu> gpu) {
  auto recorder = std::make_unique<Cupti>(std::move(gpu));
  TESSERA_RETURN_IF_ERROR(recorder->start());
  return std::unique_ptr<CallRecorder>(std::move(recorder));
}

}  // namespace tessera::device::contract
