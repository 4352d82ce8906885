#include "model/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/descriptor.h"

namespace tessera::model {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

FileStamp stamp_from(const std::filesystem::path& path, const struct stat& status) {
  const auto nanoseconds = [](const timespec& t) { return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec; };
  return {path,
          status.st_dev,
          status.st_ino,
          static_cast<std::uint64_t>(status.st_size),
          nanoseconds(status.st_mtim),
          nanoseconds(status.st_ctim)};
}

Error no_regular_file(const std::filesystem::path& path) {
  return invalid_argument("'" + path.string() + "' is no regular file");
}

Error changed(const std::filesystem::path& path) {
  return unavailable("'" + path.string() + "' changed while it was read");
}

Status write_all(int descriptor, std::string_view content, const std::filesystem::path& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return internal_error("cannot write '" + path.string() + "': " + reason(errno));
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return ok_status();
}

}  // namespace

Result<FileStamp> stamp_of(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return not_found("'" + path.string() + "': " + reason(errno));
  }
  if (!S_ISREG(status.st_mode)) {
    return no_regular_file(path);
  }
  return stamp_from(path, status);
}

bool unchanged(std::span<const FileStamp> stamps) {
  return std::all_of(stamps.begin(), stamps.end(), [](const FileStamp& before) {
    const auto now = stamp_of(before.path);
    return now.ok() && *now == before;
  });
}

Result<std::string> read_file(const std::filesystem::path& path, Bytes limit) {
  TESSERA_ASSIGN_OR_RETURN(const FileStamp stamp, stamp_of(path));
  if (stamp.size > limit.value) {
    return Error(ErrorCode::kTooLarge, "'" + path.string() + "' has " + std::to_string(stamp.size) +
                                           " bytes, more than " + std::to_string(limit.value));
  }
  std::string content;
  content.reserve(stamp.size);
  TESSERA_RETURN_IF_ERROR(read_pieces(stamp, Bytes{1 << 20}, [&](std::span<const std::byte> piece) {
    content.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return ok_status();
  }));
  return content;
}

Status read_pieces(const FileStamp& file, Bytes piece, const std::function<Status(std::span<const std::byte>)>& take) {
  // Not blocking: the name may have become that of a pipe in the meantime.
  const Descriptor open(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (open.get() < 0) {
    return not_found("'" + file.path.string() + "': " + reason(errno));
  }
  struct stat status {};
  if (::fstat(open.get(), &status) != 0 || !S_ISREG(status.st_mode) || stamp_from(file.path, status) != file) {
    return changed(file.path);
  }
  std::vector<std::byte> buffer(std::min(piece.value, std::max<std::uint64_t>(1, file.size)));
  for (std::uint64_t left = file.size; left > 0;) {
    const ssize_t read = ::read(open.get(), buffer.data(), std::min<std::uint64_t>(buffer.size(), left));
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) return unavailable("cannot read '" + file.path.string() + "': " + reason(errno));
    if (read == 0) return changed(file.path);
    TESSERA_RETURN_IF_ERROR(take(std::span<const std::byte>(buffer.data(), static_cast<std::size_t>(read))));
    left -= static_cast<std::uint64_t>(read);
  }
  if (::fstat(open.get(), &status) != 0 || stamp_from(file.path, status) != file) {
    return changed(file.path);
  }
  return ok_status();
}

Status write_atomically(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::path draft = path;
  draft += ".new." + std::to_string(::getpid());
  Descriptor open(::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (open.get() < 0) {
    return internal_error("cannot write '" + draft.string() + "': " + reason(errno));
  }
  Status written = write_all(open.get(), content, draft);
  if (written.ok() && (::fsync(open.get()) != 0 || !open.close() || ::rename(draft.c_str(), path.c_str()) != 0)) {
    written = internal_error("cannot write '" + path.string() + "': " + reason(errno));
  }
  if (!written.ok()) ::unlink(draft.c_str());
  return written;
}

}  // namespace tessera::model
