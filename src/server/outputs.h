// What becomes of an output between the model and the wire: its values as they are, a classification of them, or a copy
// in shared memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/request.h"
#include "model/instance.h"
#include "server/classification.h"
#include "server/shared_memory.h"

namespace tessera::server {

// How one output was asked for.
struct OutputOptions {
  std::string name;
  std::uint32_t classification = 0;  // 0: the values themselves
  std::optional<SharedMemoryRange> shared_memory;
  std::optional<bool> binary;  // HTTP only: binary_data
};

// An output ready to be sent. `tensor` views the response's memory or `text`.
struct FinishedOutput {
  std::string_view name;  // of the response
  TensorView tensor;
  std::optional<SharedMemoryRange> shared_memory;  // the bytes were written there; the wire carries none
  std::vector<std::byte> text;                     // owns the bytes of a classification
};

// `options` may be empty, or name outputs in any order; `instance` (its labels and batching) is needed for
// classifications alone and may be null without them. Bytes are copied for shared memory only. Errors: kInvalidArgument
// where an output does not fit its range; the errors of classify() and SharedMemory::view.
Result<std::vector<FinishedOutput>> finish_outputs(const InferResponse& response,
                                                   std::span<const OutputOptions> options,
                                                   const model::Instance* instance, const SharedMemory& shared_memory);

}  // namespace tessera::server
