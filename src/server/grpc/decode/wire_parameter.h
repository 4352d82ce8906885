// The parameters of requests and tensors as gRPC sends them: map entries from a name to an InferParameter.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "server/grpc/decode/request_fields.h"
#include "server/parameters.h"

namespace tessera::server {

// Immutable once read.
struct WireParameter {
  std::string key;
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string> content;

  // A view of the content; nothing where the entry has none.
  std::optional<ParameterValue> value() const;
};

// Reads one entry of a parameters map, of which the field has been met.
WireParameter read_parameter(RequestFields& reader);

}  // namespace tessera::server
