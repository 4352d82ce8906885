// An ONNX file without the numbers in it, for who asks what it declares: most of a file is weights.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "base/ids.h"
#include "base/result.h"
#include "engine/onnxruntime/file_bytes.h"

namespace tessera::engine {

// Owner of a model's bytes in memory: a ModelProto that says what the file does, only that initialisers of its main
// graph may have no data. Movable; immutable otherwise.
class OnnxOutline {
 public:
  OnnxOutline() = default;
  OnnxOutline(std::unique_ptr<const std::byte[]> memory, std::size_t size) : memory_(std::move(memory)), size_(size) {}

  std::span<const std::byte> bytes() const { return {memory_.get(), size_}; }

 private:
  std::unique_ptr<const std::byte[]> memory_;
  std::size_t size_ = 0;
};

struct OutlineSizes {
  // What protobuf itself takes for one message, so ONNX Runtime takes no more either.
  static constexpr Bytes kMost{(1ULL << 31) - 1};

  Bytes kept_data{4 << 10};  // of an initialiser, in one field; longer ones are left out
  Bytes chunk{64 << 10};     // read at once; long enough for the head of a field
  Bytes most = kMost;        // of an outline
};

// Fields that hold an initialiser's data are left out whole, whatever they hold; all others are as in the file, in its
// order. Only the lengths around what was left out differ: they take the bytes that they took, with leading zeros.
// Error: kInvalidArgument where the model, its main graph or an initialiser is no protobuf message, kTooLarge over the
// limit, kOutOfMemory, and as ReadableFile::read_at(), also where the file became shorter in a part that is left out.
Result<OnnxOutline> read_outline(const ReadableFile& file, const OutlineSizes& sizes = {});

}  // namespace tessera::engine
