// ONNX Runtime's process-wide state as this engine sets it up.
#pragma once

#include <memory>

#include "engine/onnxruntime/ort_support.h"
#include "engine/onnxruntime/run_memory.h"

namespace tessera::engine {

// Thread-safe. Shared by all engines of a process and their models, as ONNX Runtime shares its own: a second one's
// memory would take the place of the first one's in every session made from then on, and go with that engine.
class Environment {
 public:
  // The one that is there, or the first.
  static Result<std::shared_ptr<const Environment>> create();
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  const Ort::Env& env() const { return env_; }
  const std::shared_ptr<RunMemory>& run_memory() const { return run_memory_; }
  const OrtMemoryInfo* cpu() const { return cpu_; }

  // Options that every session starts from: one thread, no spinning, sequential, memory from run_memory().
  Ort::SessionOptions session_options() const;

 private:
  Environment();

  Ort::Env env_;
  Ort::MemoryInfo cpu_;
  std::shared_ptr<RunMemory> run_memory_;
  bool registered_ = false;
};

}  // namespace tessera::engine
