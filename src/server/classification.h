// The classification extension: the k largest values of an output as text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/tensor.h"

namespace tessera::server {

// A BYTES tensor in its length-prefixed form, with its bytes.
struct BytesTensor {
  Shape shape;
  std::vector<std::byte> data;
};

// "value:index[:label]" of the min(k, n) largest values among the n of each row, largest first, equal ones by index;
// NaN counts as smallest. `batched`: the first dimension counts rows and stays ([rows, k]), otherwise the whole tensor
// is one row ([k]). `labels` may be shorter than n. Error: kInvalidArgument for BYTES outputs.
Result<BytesTensor> classify(const TensorView& values, bool batched, std::uint32_t k,
                             const std::vector<std::string>& labels);

}  // namespace tessera::server
