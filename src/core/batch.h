// What one launch computes on: the rows of some requests as they lie in memory, and where the results are.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace tessera {

// One input of the model for a whole batch: the parts, one per request, that lie one after the other along the batch
// dimension. A model without a batch dimension has exactly one part.
struct BatchInput {
  DType dtype = DType::kFp32;
  Shape row_shape;  // without the batch dimension (the whole shape where there is none)
  std::vector<std::span<const std::byte>> parts;
  // By part: whether the device was told to copy it into memory of its own, for this launch to read there. Empty: none.
  std::vector<bool> copied{};
};

// Owned by whoever launches it; between launch and completion only the device touches it.
struct Batch {
  std::int32_t rows = 0;            // sum over the requests; 1 for a model without a batch dimension
  std::int32_t bucket = 0;          // the planned size, >= rows
  std::vector<BatchInput> inputs;   // the signature's order
  std::vector<TensorView> outputs;  // filled by the plan, signature's order; batch dimension (= rows) included
  std::shared_ptr<const void> output_memory;  // keeps the outputs' bytes alive
};

}  // namespace tessera
