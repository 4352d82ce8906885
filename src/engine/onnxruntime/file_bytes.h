// A file's bytes: as they lie in the page cache, or piece by piece.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "base/descriptor.h"
#include "base/result.h"

namespace tessera::engine {

// Owner of a private, read-only mapping of a whole file. Movable; immutable otherwise. The file must not shrink while
// it is mapped.
class FileBytes {
 public:
  FileBytes() = default;
  // Error: kNotFound or kInvalidArgument with the system's words.
  static Result<FileBytes> map(const std::filesystem::path& path);
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

// Owner of a file open for reading, for files that others may rewrite at any moment: reading a mapping of one that was
// cut short ends the process. Movable; immutable otherwise.
class ReadableFile {
 public:
  // Error: as FileBytes::map().
  static Result<ReadableFile> open(const std::filesystem::path& path);

  std::uint64_t size() const { return size_; }  // in bytes, when it was opened
  const std::string& name() const { return name_; }

  // Fills `out` with what lies at `offset`. Error: kInvalidArgument with the system's words, kUnavailable where the
  // file ends before, as it became shorter meanwhile.
  Status read_at(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  ReadableFile(Descriptor file, std::uint64_t size, std::string name)
      : file_(std::move(file)), size_(size), name_(std::move(name)) {}

  Descriptor file_;
  std::uint64_t size_;
  std::string name_;  // without its folder
};

}  // namespace tessera::engine
