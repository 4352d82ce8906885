// The request and output parameters of the protocol, the same on both wires.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "core/request.h"
#include "server/shared_memory.h"

namespace tessera::server {

using ParameterValue = std::variant<bool, std::int64_t, std::uint64_t, double, std::string_view>;

// Applies one parameter of the request: priority, timeout (microseconds). Sequence parameters that ask for a sequence
// are refused (kUnsupported) by name; names that are not known, and those of one wire alone, are ignored, as the
// protocol lets clients send custom ones.
Status apply_request_parameter(std::string_view name, const ParameterValue& value, InferRequest& request);

// The three shared-memory parameters of an input or output, collected in any order. Owned by one thread.
class SharedMemoryParameters {
 public:
  // Returns whether `name` is one of the three. Error: kInvalidArgument for a value of the wrong type.
  Result<bool> apply(std::string_view name, const ParameterValue& value);
  // Nothing where no region was named. Error: a region without a size, or the reverse.
  Result<std::optional<SharedMemoryRange>> range(std::string_view tensor) const;

 private:
  std::optional<std::string> region_;
  std::optional<std::uint64_t> offset_;
  std::optional<std::uint64_t> byte_size_;
};

// `value` as a whole number of at least zero. Error: kInvalidArgument naming the parameter.
Result<std::uint64_t> unsigned_parameter(std::string_view name, const ParameterValue& value);
Result<bool> bool_parameter(std::string_view name, const ParameterValue& value);

}  // namespace tessera::server
