#include "engine/onnxruntime/file_bytes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "base/descriptor.h"

namespace tessera::engine {
namespace {

Error failure(const std::filesystem::path& path, int number) {
  const std::string words =
      "cannot read '" + path.filename().string() + "': " + std::generic_category().message(number);
  return number == ENOENT ? not_found(words) : invalid_argument(words);
}

Descriptor open_to_read(const std::filesystem::path& path) {
  return Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

Result<std::size_t> regular_size(const Descriptor& file, const std::filesystem::path& path) {
  struct stat about {};
  if (file.get() < 0 || ::fstat(file.get(), &about) != 0) {
    return failure(path, errno);
  }
  if (!S_ISREG(about.st_mode)) {
    return invalid_argument("'" + path.filename().string() + "' is not a regular file");
  }
  return static_cast<std::size_t>(about.st_size);
}

}  // namespace

Result<FileBytes> FileBytes::map(const std::filesystem::path& path) {
  const Descriptor file = open_to_read(path);
  TESSERA_ASSIGN_OR_RETURN(const std::size_t size, regular_size(file, path));
  if (size == 0) {
    return FileBytes();
  }
  void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (mapped == MAP_FAILED) {
    return failure(path, errno);
  }
  return FileBytes(std::span<const std::byte>(static_cast<const std::byte*>(mapped), size));
}

Result<FileBytes> FileBytes::read(const std::filesystem::path& path) {
  const Descriptor file = open_to_read(path);
  TESSERA_ASSIGN_OR_RETURN(const std::size_t size, regular_size(file, path));
  if (size == 0) {
    return FileBytes();
  }
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return failure(path, errno);
  }
  const std::span<std::byte> bytes(static_cast<std::byte*>(memory), size);
  FileBytes owner{std::span<const std::byte>(bytes)};
  for (std::size_t at = 0; at < size;) {
    const ssize_t got = ::read(file.get(), bytes.data() + at, size - at);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return failure(path, errno);
    }
    if (got == 0) {
      return unavailable("'" + path.filename().string() + "' changed while it was read");
    }
    at += static_cast<std::size_t>(got);
  }
  return owner;
}

FileBytes::~FileBytes() {
  if (!bytes_.empty()) {
    ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
}

void FileBytes::drop_pages() const {
  if (!bytes_.empty()) {
    ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_DONTNEED);
  }
}

}  // namespace tessera::engine
