// The version of a model as requests name it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace tessera::server {

// Empty text: no version asked for. Error: kInvalidArgument for what is not a number of at least 1.
Result<std::optional<std::int64_t>> parse_version(std::string_view text);

}  // namespace tessera::server
