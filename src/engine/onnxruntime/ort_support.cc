#include "engine/onnxruntime/ort_support.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace tessera::engine {
namespace {

// In ONNX Runtime's words, or in those of the CUDA libraries that it repeats.
bool says_out_of_memory(std::string_view text) {
  constexpr std::array<std::string_view, 5> kWords{"bad_alloc", "Failed to allocate", "out of memory",
                                                   "STATUS_ALLOC_FAILED", "ALLOCATION_FAILED"};
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view words) { return text.find(words) != std::string_view::npos; });
}

}  // namespace

Error ort_error(OrtErrorCode code, const char* words, Blame blame) {
  const std::string_view text = words == nullptr ? "unknown error" : words;
  if (says_out_of_memory(text)) {
    return {ErrorCode::kOutOfMemory, "out of memory: " + std::string(text)};
  }
  if (code == ORT_NOT_IMPLEMENTED && blame != Blame::kUs) {
    return unsupported(std::string(text));
  }
  if (blame == Blame::kUs) {
    return internal_error("ONNX Runtime: " + std::string(text));
  }
  return invalid_argument(std::string(text));
}

Status to_status(OrtStatus* status, Blame blame) {
  if (status == nullptr) {
    return {};
  }
  const Ort::Status owner(status);
  return ort_error(owner.GetErrorCode(), owner.GetErrorMessage().c_str(), blame);
}

std::optional<DType> from_onnx_type(ONNXTensorElementDataType type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL:
      return DType::kBool;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
      return DType::kUint8;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16:
      return DType::kUint16;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32:
      return DType::kUint32;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64:
      return DType::kUint64;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8:
      return DType::kInt8;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16:
      return DType::kInt16;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
      return DType::kInt32;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
      return DType::kInt64;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
      return DType::kFp16;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16:
      return DType::kBf16;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
      return DType::kFp32;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
      return DType::kFp64;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
      return DType::kBytes;
    default:
      return std::nullopt;
  }
}

ONNXTensorElementDataType to_onnx_type(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL;
    case DType::kUint8:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
    case DType::kUint16:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16;
    case DType::kUint32:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32;
    case DType::kUint64:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64;
    case DType::kInt8:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8;
    case DType::kInt16:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16;
    case DType::kInt32:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
    case DType::kInt64:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
    case DType::kFp16:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
    case DType::kBf16:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16;
    case DType::kFp32:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    case DType::kFp64:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE;
    case DType::kBytes:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING;
  }
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
}

}  // namespace tessera::engine
