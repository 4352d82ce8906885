// ONNX Runtime's helper threads, kept on the cores of one slice.
#pragma once

#include "base/affinity.h"
#include "engine/onnxruntime/ort_support.h"

namespace tessera::engine {

// Makes and joins the intra-op threads of one session. Immutable; must outlive the session.
class PinnedThreads {
 public:
  explicit PinnedThreads(CpuSet cpus) : cpus_(cpus) {}
  PinnedThreads(const PinnedThreads&) = delete;
  PinnedThreads& operator=(const PinnedThreads&) = delete;

  // The thread that calls Run computes too, so as many threads as cores are one less to create. May throw.
  void use_in(Ort::SessionOptions& options) const;

 private:
  static OrtCustomThreadHandle create(void* self, OrtThreadWorkerFn work, void* argument);
  static void join(OrtCustomThreadHandle handle);

  const CpuSet cpus_;
};

}  // namespace tessera::engine
