// Names and paths that come from outside, kept inside a folder.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"

namespace tessera::model {

// Whether `name` can name an entry of a folder and nothing else: not empty, at most 255 bytes, no separator, no NUL,
// not
// "." or "..".
bool is_plain_name(std::string_view name);

// The real path of `path` (symbolic links and ".." resolved) if it exists and lies in `folder`, which must be a real
// path itself. Links are followed as long as they end inside. Error: kNotFound, or kInvalidArgument for what leads
// outside.
Result<std::filesystem::path> confine(const std::filesystem::path& folder, const std::filesystem::path& path);

}  // namespace tessera::model
