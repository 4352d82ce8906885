// Recorded arrivals as text: "seconds,model[,rows]" a line.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "loadgen/arrivals.h"

namespace tessera::loadgen {

inline constexpr std::size_t kMaxTraceBytes = std::size_t{64} << 20U;
inline constexpr std::size_t kMaxTraceModels = 10'000;

// By model. Seconds count from the start and do not fall; empty lines, lines that begin with '#' and a first line
// "seconds,model,rows" are left out; the time of the last line ends a pass of all models. Errors name `file`, line and
// column.
Result<std::map<std::string, Trace>> parse_trace(std::string_view text, std::string_view file);

}  // namespace tessera::loadgen
