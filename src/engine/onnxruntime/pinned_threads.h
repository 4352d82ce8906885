// ONNX Runtime's helper threads, kept on the cores of one slice.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/onnxruntime/ort_support.h"

namespace tessera::engine {

// Makes and joins the intra-op threads of one session, one on each of the given processors. Must outlive the session;
// used by the thread that makes the session.
class PinnedThreads {
 public:
  explicit PinnedThreads(std::span<const int> cpus) : cpus_(cpus.begin(), cpus.end()) {}
  PinnedThreads(const PinnedThreads&) = delete;
  PinnedThreads& operator=(const PinnedThreads&) = delete;

  // May throw Ort::Exception.
  void use_in(Ort::SessionOptions& options);

 private:
  static OrtCustomThreadHandle create(void* self, OrtThreadWorkerFn work, void* argument);
  static void join(OrtCustomThreadHandle handle);

  const std::vector<int> cpus_;
  std::size_t created_ = 0;
};

}  // namespace tessera::engine
