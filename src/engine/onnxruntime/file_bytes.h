// A file's bytes: as they lie in the page cache, or a copy of them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <utility>

#include "base/result.h"

namespace tessera::engine {

// Owner of a private, read-only mapping of a whole file. Movable; immutable otherwise. The file must not shrink while
// it is mapped.
class FileBytes {
 public:
  FileBytes() = default;
  // Error: kNotFound or kInvalidArgument with the system's words.
  static Result<FileBytes> map(const std::filesystem::path& path);
  // A copy in memory, for files that others may rewrite at any moment: reading a mapping of one that was cut short ends
  // the process. Error: as map(), and kUnavailable where it became shorter meanwhile.
  static Result<FileBytes> read(const std::filesystem::path& path);
  ~FileBytes();
  FileBytes(FileBytes&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  FileBytes& operator=(FileBytes&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  std::span<const std::byte> bytes() const { return bytes_; }

  // Lets go of the pages read so far; they come back from the file when they are read again.
  void drop_pages() const;

 private:
  explicit FileBytes(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> bytes_;
};

}  // namespace tessera::engine
