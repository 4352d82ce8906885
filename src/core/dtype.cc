#include "core/dtype.h"

#include <array>

#include "base/check.h"

namespace tessera {
namespace {

struct Row {
  DType dtype;
  std::size_t size;
  std::string_view name;
};

constexpr std::array<Row, 14> kRows{{{DType::kBool, 1, "BOOL"},
                                     {DType::kUint8, 1, "UINT8"},
                                     {DType::kUint16, 2, "UINT16"},
                                     {DType::kUint32, 4, "UINT32"},
                                     {DType::kUint64, 8, "UINT64"},
                                     {DType::kInt8, 1, "INT8"},
                                     {DType::kInt16, 2, "INT16"},
                                     {DType::kInt32, 4, "INT32"},
                                     {DType::kInt64, 8, "INT64"},
                                     {DType::kFp16, 2, "FP16"},
                                     {DType::kBf16, 2, "BF16"},
                                     {DType::kFp32, 4, "FP32"},
                                     {DType::kFp64, 8, "FP64"},
                                     {DType::kBytes, 0, "BYTES"}}};

const Row& row(DType dtype) {
  const auto index = static_cast<std::size_t>(dtype);
  TESSERA_CHECK(index < kRows.size() && kRows[index].dtype == dtype);
  return kRows[index];
}

}  // namespace

std::size_t size_of(DType dtype) { return row(dtype).size; }

std::string_view protocol_name(DType dtype) { return row(dtype).name; }

std::optional<DType> dtype_from_protocol_name(std::string_view name) {
  for (const Row& candidate : kRows) {
    if (candidate.name == name) {
      return candidate.dtype;
    }
  }
  return std::nullopt;
}

}  // namespace tessera
