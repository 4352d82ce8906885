#include "engine/onnxruntime/pinned_threads.h"

#include <memory>
#include <system_error>
#include <thread>

#include "base/affinity.h"
#include "base/log.h"

namespace tessera::engine {

void PinnedThreads::use_in(Ort::SessionOptions& options) {
  // The thread that calls Run computes too and is counted.
  options.SetIntraOpNumThreads(static_cast<int>(cpus_.size()) + 1);
  options.SetCustomThreadCreationOptions(this);
  options.SetCustomCreateThreadFn(&PinnedThreads::create);
  options.SetCustomJoinThreadFn(&PinnedThreads::join);
}

OrtCustomThreadHandle PinnedThreads::create(void* self, OrtThreadWorkerFn work, void* argument) {
  auto& threads = *static_cast<PinnedThreads*>(self);
  CpuSet cpus;
  cpus.add(threads.cpus_[threads.created_++ % threads.cpus_.size()]);
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
  const std::unique_ptr<std::thread> thread(reinterpret_cast<std::thread*>(const_cast<OrtCustomHandleType*>(handle)));
  thread->join();
}

}  // namespace tessera::engine
