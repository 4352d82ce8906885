#include "engine/onnxruntime/pinned_threads.h"

#include <memory>
#include <system_error>
#include <thread>

#include "base/log.h"

namespace tessera::engine {

void PinnedThreads::use_in(Ort::SessionOptions& options) const {
  options.SetIntraOpNumThreads(cpus_.count());
  // ONNX Runtime hands the pointer back to create(), which only reads.
  options.SetCustomThreadCreationOptions(const_cast<PinnedThreads*>(this));
  options.SetCustomCreateThreadFn(&PinnedThreads::create);
  options.SetCustomJoinThreadFn(&PinnedThreads::join);
}

OrtCustomThreadHandle PinnedThreads::create(void* self, OrtThreadWorkerFn work, void* argument) {
  const CpuSet cpus = static_cast<const PinnedThreads*>(self)->cpus_;
  try {
    auto thread = std::make_unique<std::thread>([cpus, work, argument] {
      name_this_thread("ort-slice");
      if (const Status pinned = pin_this_thread(cpus); !pinned) {
        log(LogLevel::kWarning, "a thread of a slice could not be pinned", {{"reason", pinned.error().message()}});
      }
      work(argument);
    });
    return reinterpret_cast<OrtCustomThreadHandle>(thread.release());
  } catch (const std::system_error&) {
    return nullptr;  // ONNX Runtime fails the session then
  }
}

void PinnedThreads::join(OrtCustomThreadHandle handle) {
  const std::unique_ptr<std::thread> thread(
      reinterpret_cast<std::thread*>(const_cast<OrtCustomHandleType*>(handle)));
  thread->join();
}

}  // namespace tessera::engine
