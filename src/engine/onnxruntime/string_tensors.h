// BYTES tensors: our length-prefixed form and ONNX Runtime's string tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/onnxruntime/ort_support.h"

namespace tessera::engine {

// A string tensor of `dims` out of the elements of all parts, one part after the other. Error: kInvalidArgument where
// the parts do not hold exactly that many well-formed elements.
Result<Ort::Value> decode_strings(std::span<const std::span<const std::byte>> parts, std::span<const std::int64_t> dims,
                                  std::int64_t elements);

// All elements in their length-prefixed form. Error: kTooLarge for an element of 4 GB or more.
Result<std::vector<std::byte>> encode_strings(const Ort::Value& tensor, std::int64_t elements);

}  // namespace tessera::engine
