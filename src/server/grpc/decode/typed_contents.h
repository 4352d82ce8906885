// InferTensorContents: tensors sent as repeated fields of a protobuf message instead of raw bytes.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "core/dtype.h"
#include "server/grpc/decode/request_fields.h"

namespace tessera::server {

// Bytes of the tensor that the message in `range` holds, in the layout of raw contents. Error: kInvalidArgument for a
// malformed message, a field that does not belong to the datatype, a value that does not fit it.
Result<std::size_t> measure_contents(ByteSpans message, WireRange range, DType dtype, std::string_view input);

// Writes that tensor to `out`, of the size measured before.
Status write_contents(ByteSpans message, WireRange range, DType dtype, std::string_view input,
                      std::span<std::byte> out);

}  // namespace tessera::server
