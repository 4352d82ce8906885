#include "engine/onnxruntime/file_bytes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace tessera::engine {
namespace {

Error failure(const std::filesystem::path& path, int number) {
  const std::string words =
      "cannot read '" + path.filename().string() + "': " + std::generic_category().message(number);
  return number == ENOENT ? not_found(words) : invalid_argument(words);
}

class Descriptor {
 public:
  explicit Descriptor(const std::filesystem::path& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~Descriptor() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

Result<FileBytes> FileBytes::map(const std::filesystem::path& path) {
  const Descriptor file(path);
  struct stat about {};
  if (file.get() < 0 || ::fstat(file.get(), &about) != 0) {
    return failure(path, errno);
  }
  if (!S_ISREG(about.st_mode)) {
    return invalid_argument("'" + path.filename().string() + "' is not a regular file");
  }
  const auto size = static_cast<std::size_t>(about.st_size);
  if (size == 0) {
    return FileBytes();
  }
  void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (mapped == MAP_FAILED) {
    return failure(path, errno);
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

}  // namespace tessera::engine
