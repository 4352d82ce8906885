// What a client sends to a model that it knows from the server's metadata alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/tensor.h"

namespace tessera::client {

// As the Open Inference Protocol's model metadata tells it: shapes with the batch dimension where there is one.
struct ModelFacts {
  std::string name;
  std::vector<TensorSpec> inputs;
};

inline constexpr std::size_t kMaxMetadataBytes = std::size_t{4} << 20U;
inline constexpr std::size_t kMaxRequestBytes = std::size_t{256} << 20U;

// The body of GET v2/models/NAME. Error: not what the protocol says, naming `model`.
Result<ModelFacts> parse_model_metadata(std::string_view json, const std::string& model);

// The dimensions of one input, where the model leaves some free: "NAME:DIMS" or "MODEL/NAME:DIMS", DIMS as "1,3,224".
struct ShapeChoice {
  std::string input;
  Shape shape;
};
Result<ShapeChoice> parse_shape_choice(std::string_view text);

struct InputData {
  std::string name;
  DType dtype = DType::kFp32;
  Shape shape;
  std::vector<std::byte> bytes;
};

// Inputs of a request with so many rows: of floating point from 0 to 1, whole numbers and truths 0 or 1 (whatever they
// index is there), texts of eight letters. Free dimensions are as chosen, else 1; a free first one has `rows`, unless
// the choice names it, too. Error: more than one row without a free first dimension, a choice that does not fit, more
// than kMaxRequestBytes.
Result<std::vector<InputData>> make_inputs(const ModelFacts& model, const std::vector<ShapeChoice>& choices,
                                           std::int32_t rows, std::uint64_t seed);

}  // namespace tessera::client
