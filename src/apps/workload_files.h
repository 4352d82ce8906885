// The files that commands about workloads read and write.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "loadgen/workload.h"

namespace tessera::apps {

// Errors name the file.
Result<std::string> read_text(const std::filesystem::path& path);
// With the traces that it names, which lie beside it.
Result<loadgen::Workload> read_workload(const std::filesystem::path& path);
// Nothing where `path` is empty. The error names `flag`.
Status write_text(const std::filesystem::path& path, const std::string& text, const std::string& flag);

Duration seconds(double value);

std::string today();  // "2026-01-31"

}  // namespace tessera::apps
