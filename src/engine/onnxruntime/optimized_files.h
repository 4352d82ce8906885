// A model after ONNX Runtime's graph optimisations, as two files: the graph, and the weights beside it.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>

#include "base/result.h"
#include "engine/onnxruntime/environment.h"

namespace tessera::engine {

// What a model is optimised for: layouts and fusions are chosen for the processor that will run it.
struct OptimizedFor {
  std::string key;  // tells this form of a model from every other, in file names
  std::function<void(Ort::SessionOptions&)> prepare = [](Ort::SessionOptions&) {};  // may throw Ort::Exception
};

OptimizedFor optimized_for_host();

// `what` and ONNX Runtime's version, short enough for a file name.
std::string optimization_key(const std::string& what);

// Owner of a folder with both files: an entry of the cache, which stays, or a temporary one, which goes with this
// object. ONNX Runtime wants to see the files whenever a session is made. Movable; immutable otherwise.
class OptimizedFiles {
 public:
  // Optimises `source`, or takes the copy that `cache_dir` holds for `digest` (both may be empty: nothing is kept).
  // A damaged copy is replaced. Error: what ONNX Runtime says of the model.
  static Result<OptimizedFiles> make(const Environment& environment, const OptimizedFor& target,
                                     const std::filesystem::path& source, const std::string& digest,
                                     const std::filesystem::path& cache_dir);
  ~OptimizedFiles();
  OptimizedFiles(OptimizedFiles&& other) noexcept
      : folder_(std::move(other.folder_)), temporary_(std::exchange(other.temporary_, false)) {}
  OptimizedFiles& operator=(OptimizedFiles&&) = delete;

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path graph() const { return folder_ / "model.onnx"; }

 private:
  OptimizedFiles(std::filesystem::path folder, bool temporary) : folder_(std::move(folder)), temporary_(temporary) {}

  std::filesystem::path folder_;
  bool temporary_;
};

}  // namespace tessera::engine
