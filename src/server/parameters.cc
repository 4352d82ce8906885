#include "server/parameters.h"

#include <limits>

namespace tessera::server {
namespace {

Error wrong_type(std::string_view name, std::string_view expected) {
  return invalid_argument("parameter '" + std::string(name) + "' must be " + std::string(expected));
}

Error no_sequences(std::string_view name) {
  return unsupported("parameter '" + std::string(name) + "': this server does not do sequence batching");
}

Status refuse_sequence(std::string_view name, const ParameterValue& value) {
  // Clients send the neutral values along with requests that belong to no sequence.
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    return text->empty() ? ok_status() : Status(no_sequences(name));
  }
  if (const auto* flag = std::get_if<bool>(&value)) {
    return *flag ? Status(no_sequences(name)) : ok_status();
  }
  TESSERA_ASSIGN_OR_RETURN(const std::uint64_t number, unsigned_parameter(name, value));
  return number != 0 ? Status(no_sequences(name)) : ok_status();
}

}  // namespace

Result<std::uint64_t> unsigned_parameter(std::string_view name, const ParameterValue& value) {
  if (const auto* number = std::get_if<std::uint64_t>(&value)) {
    return *number;
  }
  if (const auto* number = std::get_if<std::int64_t>(&value); number != nullptr && *number >= 0) {
    return static_cast<std::uint64_t>(*number);
  }
  return wrong_type(name, "a whole number of at least 0");
}

Result<bool> bool_parameter(std::string_view name, const ParameterValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) {
    return *flag;
  }
  return wrong_type(name, "true or false");
}

Status apply_request_parameter(std::string_view name, const ParameterValue& value, InferRequest& request) {
  if (name == "priority") {
    TESSERA_ASSIGN_OR_RETURN(const std::uint64_t priority, unsigned_parameter(name, value));
    if (priority > std::numeric_limits<std::uint32_t>::max()) {
      return invalid_argument("parameter 'priority' is too large");
    }
    request.priority = static_cast<std::uint32_t>(priority);
  } else if (name == "timeout") {
    TESSERA_ASSIGN_OR_RETURN(const std::uint64_t timeout, unsigned_parameter(name, value));
    // Beyond 2^53 us (285 years) sums with points in time would overflow; such a timeout never passes anyway.
    if (timeout > 0 && timeout < (std::uint64_t{1} << 53)) {
      request.timeout = std::chrono::microseconds(timeout);
    }
  } else if (name == "sequence_id" || name == "sequence_start" || name == "sequence_end") {
    return refuse_sequence(name, value);
  }
  return ok_status();
}

Result<bool> SharedMemoryParameters::apply(std::string_view name, const ParameterValue& value) {
  if (name == "shared_memory_region") {
    const auto* region = std::get_if<std::string_view>(&value);
    if (region == nullptr) {
      return wrong_type(name, "a string");
    }
    region_ = std::string(*region);
    return true;
  }
  if (name == "shared_memory_offset") {
    TESSERA_ASSIGN_OR_RETURN(offset_, unsigned_parameter(name, value));
    return true;
  }
  if (name == "shared_memory_byte_size") {
    TESSERA_ASSIGN_OR_RETURN(byte_size_, unsigned_parameter(name, value));
    return true;
  }
  return false;
}

Result<std::optional<SharedMemoryRange>> SharedMemoryParameters::range(std::string_view tensor) const {
  if (!region_ && !byte_size_ && !offset_) {
    return std::optional<SharedMemoryRange>();
  }
  if (!region_ || !byte_size_) {
    return invalid_argument("tensor '" + std::string(tensor) +
                            "': 'shared_memory_region' and 'shared_memory_byte_size' must both be given");
  }
  return std::optional(SharedMemoryRange{*region_, offset_.value_or(0), *byte_size_});
}

}  // namespace tessera::server
