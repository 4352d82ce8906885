// Reading files that may be replaced at any moment.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace tessera::model {

// What tells a file from its successor under the same name. Immutable value.
struct FileStamp {
  std::filesystem::path path;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;  // Unix time, as stat gives it: compared, never computed with
  std::int64_t changed_ns = 0;   // of the inode: set by the kernel alone
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

// Follows symbolic links. Error: kNotFound; kInvalidArgument for what is no regular file.
Result<FileStamp> stamp_of(const std::filesystem::path& path);

// Whether all files are still those that were stamped.
bool unchanged(std::span<const FileStamp> stamps);

// The whole content. Error: as stamp_of; kTooLarge beyond `limit`; kUnavailable where it changed while it was read.
Result<std::string> read_file(const std::filesystem::path& path, Bytes limit);

// Hands the content of a stamped file to `take` in pieces of at most `piece` bytes. Error: kUnavailable where the file
// is not the one stamped any more, and whatever `take` says.
Status read_pieces(const FileStamp& file, Bytes piece, const std::function<Status(std::span<const std::byte>)>& take);

// Writes `content` so that `path` holds either the old or the new content, never a part.
Status write_atomically(const std::filesystem::path& path, std::string_view content);

}  // namespace tessera::model
