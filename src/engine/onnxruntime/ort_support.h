// What every source of this engine needs of ONNX Runtime: its C++ wrapper (whose exceptions end here), its errors as
// ours.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <optional>
#include <type_traits>
#include <utility>

#include "base/result.h"
#include "core/dtype.h"

namespace tessera::engine {

// Who is to blame where ONNX Runtime does not say it itself.
enum class Blame {
  kModelFile,  // reading a file that someone gave us
  kRequest,    // a run: what fails there depends on the request's shapes and values
  kUs,         // anything else
};

Error ort_error(OrtErrorCode code, const char* words, Blame blame);

// Takes over `status`, which may be null (success).
Status to_status(OrtStatus* status, Blame blame);

// Runs `body` and turns what the C++ wrapper throws into an Error.
template <typename Body>
auto guarded(Blame blame, Body&& body) -> Result<std::invoke_result_t<Body>> {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<Body>>) {
      std::forward<Body>(body)();
      return {};
    } else {
      return std::forward<Body>(body)();
    }
  } catch (const Ort::Exception& e) {
    return ort_error(e.GetOrtErrorCode(), e.what(), blame);
  } catch (const std::exception& e) {
    return ort_error(ORT_FAIL, e.what(), blame);
  }
}

// Nothing for element types that the protocol has no name for.
std::optional<DType> from_onnx_type(ONNXTensorElementDataType type);
ONNXTensorElementDataType to_onnx_type(DType dtype);

}  // namespace tessera::engine
