// Tensors as views: who owns the bytes is said by the object that holds the view.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/dtype.h"
#include "core/shape.h"

namespace tessera {

// Row-major, dense. kBytes data is in its length-prefixed form.
struct TensorView {
  DType dtype = DType::kFp32;
  Shape shape;
  std::span<const std::byte> data;
};

// What a model says about one of its inputs or outputs. `shape` excludes the batch dimension when the model batches;
// -1 is a dimension the request chooses.
struct TensorSpec {
  std::string name;
  DType dtype = DType::kFp32;
  Shape shape;
};

// What requests to a model are checked against. Immutable once published.
struct ModelSignature {
  std::vector<TensorSpec> inputs;  // in the engine's order; a Batch uses the same order
  std::vector<TensorSpec> outputs;
  std::int32_t max_batch_size = 0;  // 0: no batch dimension, one request a run
};

// Bytes of data that `dtype` and `shape` ask for. Error: kBytes (depends on the data), negative or overflowing shape.
Result<std::size_t> byte_size(DType dtype, const Shape& shape);

// Checks length-prefixed data: exactly `elements` of them, nothing left over.
Status check_bytes_tensor(std::span<const std::byte> data, std::int64_t elements);

}  // namespace tessera
