#include "engine/onnxruntime/signature.h"

#include <string>

namespace tessera::engine {
namespace {

Result<TensorSpec> read_spec(const std::string& what, std::string name, const Ort::TypeInfo& info) {
  if (info.GetONNXType() != ONNX_TYPE_TENSOR) {
    return unsupported(what + " '" + name + "' is not a tensor");
  }
  const auto tensor = info.GetTensorTypeAndShapeInfo();
  const std::optional<DType> dtype = from_onnx_type(tensor.GetElementType());
  if (!dtype) {
    return unsupported(what + " '" + name + "' has element type " + std::to_string(tensor.GetElementType()) +
                       " of ONNX, which the protocol cannot carry");
  }
  std::vector<std::int64_t> dims = tensor.GetShape();
  for (std::int64_t& dim : dims) {
    dim = dim < 0 ? -1 : dim;
  }
  auto shape = Shape::from(dims);
  if (!shape) {
    return unsupported(what + " '" + name + "' has " + std::to_string(dims.size()) + " dimensions, more than " +
                       std::to_string(Shape::kMaxRank));
  }
  return TensorSpec{std::move(name), *dtype, *shape};
}

}  // namespace

Result<FileSignature> read_signature(const Ort::Session& session) {
  auto read = guarded(Blame::kModelFile, [&]() -> Result<FileSignature> {
    FileSignature signature;
    const Ort::AllocatorWithDefaultOptions allocator;
    for (std::size_t i = 0; i < session.GetInputCount(); ++i) {
      TESSERA_ASSIGN_OR_RETURN(TensorSpec spec, read_spec("input", session.GetInputNameAllocated(i, allocator).get(),
                                                          session.GetInputTypeInfo(i)));
      signature.inputs.push_back(std::move(spec));
    }
    for (std::size_t i = 0; i < session.GetOutputCount(); ++i) {
      TESSERA_ASSIGN_OR_RETURN(TensorSpec spec, read_spec("output", session.GetOutputNameAllocated(i, allocator).get(),
                                                          session.GetOutputTypeInfo(i)));
      signature.outputs.push_back(std::move(spec));
    }
    return signature;
  });
  return read.ok() ? std::move(read).value() : Result<FileSignature>(read.error());
}

}  // namespace tessera::engine
