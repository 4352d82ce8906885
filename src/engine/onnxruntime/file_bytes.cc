#include "engine/onnxruntime/file_bytes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace tessera::engine {
namespace {

Error failure(const std::string& name, int number) {
  const std::string words = "cannot read '" + name + "': " + std::generic_category().message(number);
  return number == ENOENT ? not_found(words) : invalid_argument(words);
}

Descriptor open_to_read(const std::filesystem::path& path) {
  return Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

Result<std::size_t> regular_size(const Descriptor& file, const std::string& name) {
  struct stat about {};
  if (file.get() < 0 || ::fstat(file.get(), &about) != 0) {
    return failure(name, errno);
  }
  if (!S_ISREG(about.st_mode)) {
    return invalid_argument("'" + name + "' is not a regular file");
  }
  return static_cast<std::size_t>(about.st_size);
}

}  // namespace

Result<FileBytes> FileBytes::map(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const Descriptor file = open_to_read(path);
  TESSERA_ASSIGN_OR_RETURN(const std::size_t size, regular_size(file, name));
  if (size == 0) {
    return FileBytes();
  }
  void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (mapped == MAP_FAILED) {
    return failure(name, errno);
  }
  return FileBytes(std::span<const std::byte>(static_cast<const std::byte*>(mapped), size));
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

Result<ReadableFile> ReadableFile::open(const std::filesystem::path& path) {
  std::string name = path.filename().string();
  Descriptor file = open_to_read(path);
  TESSERA_ASSIGN_OR_RETURN(const std::size_t size, regular_size(file, name));
  return ReadableFile(std::move(file), size, std::move(name));
}

Status ReadableFile::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(file_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return failure(name_, errno);
    }
    if (got == 0) {
      return unavailable("'" + name_ + "' changed while it was read");
    }
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

}  // namespace tessera::engine
