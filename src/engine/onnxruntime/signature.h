#pragma once

#include "engine/engine.h"
#include "engine/onnxruntime/onnx_file.h"
#include "engine/onnxruntime/ort_support.h"

namespace tessera::engine {

// What a session says of its model's inputs and outputs. Error: kUnsupported for anything but tensors of known types.
Result<FileSignature> read_signature(const Ort::Session& session);
// The same of what the file declares.
Result<FileSignature> signature_of(DeclaredSignature declared);

}  // namespace tessera::engine
