#pragma once

#include <optional>

#include "core/batch.h"
#include "engine/fake/fake_model_file.h"

namespace tessera::engine {

// The fault that the model has for this batch, if any.
std::optional<Error> fault_for(const FakeModelFile& model, const Batch& batch);

// Whether the model's run of this batch is not to end.
bool hangs(const FakeModelFile& model, const Batch& batch);

// Fills the batch's outputs: copies of inputs, part after part, or zeros; free dimensions of zeros count as 1.
// Error: kInvalidArgument where inputs do not fit the model.
Status answer(const FakeModelFile& model, bool batching, Batch& batch);

}  // namespace tessera::engine
