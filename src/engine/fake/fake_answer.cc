#include "engine/fake/fake_answer.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace tessera::engine {
namespace {

using Buffers = std::vector<std::vector<std::byte>>;

std::size_t bytes_of_zeros(DType dtype, const Shape& shape) {
  constexpr std::size_t kLengthPrefix = 4;  // of an empty string
  const std::size_t element = dtype == DType::kBytes ? kLengthPrefix : size_of(dtype);
  return element * static_cast<std::size_t>(shape.elements().value_or(0));
}

Shape shape_of_zeros(const Shape& declared, bool batching, std::int32_t rows) {
  Shape shape = declared;
  for (std::size_t i = 0; i < shape.rank(); ++i) {
    if (i == 0 && batching) {
      shape[i] = rows;
    } else if (shape[i] < 0) {
      shape[i] = 1;
    }
  }
  return shape;
}

// Whether the first input of one of its requests does.
bool begins_with(const Batch& batch, std::uint8_t byte) {
  return !batch.inputs.empty() &&
         std::any_of(batch.inputs.front().parts.begin(), batch.inputs.front().parts.end(), [byte](const auto& part) {
           return !part.empty() && std::to_integer<std::uint8_t>(part.front()) == byte;
         });
}

}  // namespace

std::optional<Error> fault_for(const FakeModelFile& model, const Batch& batch) {
  for (const FakeModelFile::RunFault& fault : model.run_faults) {
    if (begins_with(batch, fault.first_byte)) {
      return fault.error;
    }
  }
  return std::nullopt;
}

bool hangs(const FakeModelFile& model, const Batch& batch) {
  return model.hangs_at && begins_with(batch, *model.hangs_at);
}

Status answer(const FakeModelFile& model, bool batching, Batch& batch) {
  if (batch.inputs.size() != model.signature.inputs.size()) {
    return invalid_argument("the model takes " + std::to_string(model.signature.inputs.size()) + " inputs");
  }
  auto buffers = std::make_shared<Buffers>();
  buffers->reserve(model.signature.outputs.size());
  batch.outputs.clear();
  for (std::size_t i = 0; i < model.signature.outputs.size(); ++i) {
    const TensorSpec& spec = model.signature.outputs[i];
    std::vector<std::byte>& bytes = buffers->emplace_back();
    Shape shape;
    if (const auto source = model.copied_from[i]) {
      const BatchInput& input = batch.inputs[*source];
      shape = batching ? input.row_shape.with_first(batch.rows) : input.row_shape;
      for (const auto& part : input.parts) {
        bytes.insert(bytes.end(), part.begin(), part.end());
      }
    } else {
      shape = shape_of_zeros(spec.shape, batching, batch.rows);
      bytes.resize(bytes_of_zeros(spec.dtype, shape));
    }
    batch.outputs.push_back({spec.dtype, shape, bytes});
  }
  batch.output_memory = std::move(buffers);
  return {};
}

}  // namespace tessera::engine
