// The initialisers of an optimised model, once in memory for all its sessions.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "engine/onnxruntime/environment.h"
#include "engine/onnxruntime/file_bytes.h"
#include "engine/onnxruntime/onnx_file.h"
#include "engine/onnxruntime/optimized_files.h"

namespace tessera::engine {

// Owner of the initialisers' bytes: large ones are the mapped weights file, small ones a copy. Immutable; must outlive
// the sessions that were given it. What pre-packing makes of them is shared through the container.
class SharedWeights {
 public:
  static Result<std::unique_ptr<const SharedWeights>> map(const Environment& environment, const OptimizedFiles& files);
  ~SharedWeights();
  SharedWeights(const SharedWeights&) = delete;
  SharedWeights& operator=(const SharedWeights&) = delete;

  // Makes a session built with `options` use these bytes instead of copies. May throw Ort::Exception.
  void add_to(Ort::SessionOptions& options) const;
  OrtPrepackedWeightsContainer* prepacked() const { return prepacked_; }

  Bytes bytes() const { return bytes_; }
  std::vector<std::string> names() const;
  // Where the initialiser of that name lies; empty for one that ONNX Runtime keeps itself.
  std::span<const std::byte> find(const std::string& name) const;

  // After a session was made: most of what it read are the originals of weights it packed, which nobody reads again.
  void drop_pages() const { file_.drop_pages(); }

 private:
  struct Tensor {
    std::string name;
    std::span<const std::byte> bytes;
    Ort::Value value;
  };

  SharedWeights() = default;
  Status add(const Environment& environment, const StoredTensor& stored);
  std::span<const std::byte> aligned_copy(std::span<const std::byte> bytes);

  FileBytes file_;
  std::vector<std::unique_ptr<std::byte[]>> copies_;
  std::vector<Tensor> tensors_;
  Bytes bytes_;
  OrtPrepackedWeightsContainer* prepacked_ = nullptr;
};

}  // namespace tessera::engine
