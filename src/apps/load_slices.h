// What ran when in a server in this process, read from what it recorded.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "loadgen/slice_chart.h"

namespace tessera::apps {

// Of a recording whose only use is a report: enough for several seconds of any load.
inline constexpr Bytes kSampledJournal{std::uint64_t{48} << 20};

// Runs that ended, of all devices, from a journal. Error: it is damaged.
Result<loadgen::SliceRuns> slice_runs(std::string_view journal);

// The same from a file, as much of it as kSampledJournal is.
Result<loadgen::SliceRuns> read_slice_runs(const std::filesystem::path& file);

}  // namespace tessera::apps
