#include "engine/onnxruntime/signature.h"

#include <string>

namespace tessera::engine {
namespace {

Result<TensorSpec> make_spec(const std::string& what, std::string name, ONNXTensorElementDataType type,
                             std::vector<std::int64_t> dims) {
  const std::optional<DType> dtype = from_onnx_type(type);
  if (!dtype) {
    return unsupported(what + " '" + name + "' has element type " + std::to_string(type) +
                       " of ONNX, which the protocol cannot carry");
  }
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

Result<TensorSpec> read_spec(const std::string& what, std::string name, const Ort::TypeInfo& info) {
  if (info.GetONNXType() != ONNX_TYPE_TENSOR) {
    return unsupported(what + " '" + name + "' is not a tensor");
  }
  const auto tensor = info.GetTensorTypeAndShapeInfo();
  return make_spec(what, std::move(name), tensor.GetElementType(), tensor.GetShape());
}

Result<std::vector<TensorSpec>> make_specs(const std::string& what, std::vector<DeclaredTensor> declared) {
  std::vector<TensorSpec> specs;
  for (DeclaredTensor& tensor : declared) {
    TESSERA_ASSIGN_OR_RETURN(
        TensorSpec spec, make_spec(what, std::move(tensor.name),
                                   static_cast<ONNXTensorElementDataType>(tensor.onnx_type), std::move(tensor.dims)));
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace

Result<FileSignature> signature_of(DeclaredSignature declared) {
  FileSignature signature;
  TESSERA_ASSIGN_OR_RETURN(signature.inputs, make_specs("input", std::move(declared.inputs)));
  TESSERA_ASSIGN_OR_RETURN(signature.outputs, make_specs("output", std::move(declared.outputs)));
  return signature;
}

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
