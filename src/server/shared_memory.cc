#include "server/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/descriptor.h"

namespace tessera::server {
namespace {

// The name of an object directly under /dev/shm, in the form shm_open wants.
Result<std::string> object_name(std::string_view key) {
  std::string_view bare = key;
  if (!bare.empty() && bare.front() == '/') {
    bare.remove_prefix(1);
  }
  const bool bad = bare.empty() || bare.size() > NAME_MAX || bare == "." || bare == ".." ||
                   bare.find('/') != std::string_view::npos || bare.find('\0') != std::string_view::npos;
  if (bad) {
    return invalid_argument("Invalid shared memory key '" + std::string(key) +
                            "': it is the name of one object, without '/' but in front");
  }
  return "/" + std::string(bare);
}

Error not_registered(std::string_view name) {
  return not_found("Unable to find system shared memory region: '" + std::string(name) + "'");
}

Error beyond_end(std::string_view name) {
  return invalid_argument("Invalid offset + byte size for shared memory region: '" + std::string(name) + "'");
}

// Size of the object behind `fd`; nothing where it is not a plain file.
std::optional<std::uint64_t> object_size(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size < 0) {
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(info.st_size);
}

}  // namespace

// A range of an object, mapped. Immutable; unmapped with its last owner.
class SharedMemory::Mapping {
 public:
  static Result<std::shared_ptr<Mapping>> open(std::string_view name, const std::string& object, std::uint64_t offset,
                                               std::uint64_t byte_size) {
    const int fd = ::shm_open(object.c_str(), O_RDWR, 0);
    if (fd < 0) {
      const std::string text = "Unable to open shared memory region: '" + std::string(name) + "'";
      return errno == ENOENT ? not_found(text) : invalid_argument(text + ": " + std::strerror(errno));
    }
    auto mapping = std::make_shared<Mapping>(fd);
    const auto size = object_size(fd);
    std::uint64_t end = 0;
    if (!size || byte_size == 0 || __builtin_add_overflow(offset, byte_size, &end) || end > *size) {
      return beyond_end(name);
    }
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const std::uint64_t base = offset / page * page;
    void* address = ::mmap(nullptr, end - base, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(base));
    if (address == MAP_FAILED) {
      return invalid_argument("Unable to map shared memory region: '" + std::string(name) +
                              "': " + std::strerror(errno));
    }
    mapping->address_ = address;
    mapping->mapped_ = end - base;
    mapping->bytes_ = {static_cast<std::byte*>(address) + (offset - base), byte_size};
    mapping->end_ = end;
    return mapping;
  }

  explicit Mapping(int fd) : fd_(fd) {}
  ~Mapping() {
    if (address_ != nullptr) {
      ::munmap(address_, mapped_);
    }
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::span<std::byte> bytes() const { return bytes_; }

  // Touching pages beyond the end of an object that its owner has cut is a fault of this process, so ask before use.
  bool whole() const { return object_size(fd_.get()).value_or(0) >= end_; }

 private:
  Descriptor fd_;
  void* address_ = nullptr;
  std::size_t mapped_ = 0;
  std::uint64_t end_ = 0;
  std::span<std::byte> bytes_;
};

SharedMemory::SharedMemory(SharedMemoryLimits limits) : limits_(limits), regions_(std::make_unique<Regions>()) {}
SharedMemory::~SharedMemory() = default;

Status SharedMemory::check_name(const Regions& regions, std::string_view name) const {
  if (regions.find(name) != regions.end()) {
    return Error(ErrorCode::kAlreadyExists, "shared memory region '" + std::string(name) + "' already in manager");
  }
  if (regions.size() >= limits_.max_regions) {
    return Error(ErrorCode::kResourceExhausted,
                 "no more than " + std::to_string(limits_.max_regions) + " shared memory regions can be registered");
  }
  return ok_status();
}

// Each region's size is at most that of an object, so the sum of all cannot overflow.
Status SharedMemory::check_total(const Regions& regions, std::uint64_t more) const {
  std::uint64_t total = more;
  for (const auto& [name, entry] : regions) {
    total += entry.region.byte_size;
  }
  if (total > limits_.max_total.value) {
    return Error(ErrorCode::kResourceExhausted,
                 "shared memory regions may have " + std::to_string(limits_.max_total.value) + " bytes in all");
  }
  return ok_status();
}

Status SharedMemory::register_region(std::string_view name, std::string_view key, std::uint64_t offset,
                                     std::uint64_t byte_size) {
  if (name.empty() || name.size() > limits_.max_name_bytes) {
    return invalid_argument("a shared memory region has a name of 1 to " + std::to_string(limits_.max_name_bytes) +
                            " bytes");
  }
  TESSERA_ASSIGN_OR_RETURN(const std::string object, object_name(key));
  const std::lock_guard lock(changing_);
  auto next = std::make_unique<Regions>(*regions_.read());
  TESSERA_RETURN_IF_ERROR(check_name(*next, name));
  TESSERA_ASSIGN_OR_RETURN(auto mapping, Mapping::open(name, object, offset, byte_size));
  TESSERA_RETURN_IF_ERROR(check_total(*next, byte_size));
  SharedMemoryRegion region{std::string(name), std::string(key), offset, byte_size};
  next->emplace(name, Entry{std::move(region), std::move(mapping)});
  regions_.replace(std::move(next));
  return ok_status();
}

void SharedMemory::unregister(std::string_view name) {
  const std::lock_guard lock(changing_);
  auto next = std::make_unique<Regions>(*regions_.read());
  if (const auto found = next->find(name); found != next->end()) {
    next->erase(found);
    regions_.replace(std::move(next));
  }
}

void SharedMemory::unregister_all() {
  const std::lock_guard lock(changing_);
  regions_.replace(std::make_unique<Regions>());
}

Result<std::vector<SharedMemoryRegion>> SharedMemory::status(std::string_view name) const {
  const auto regions = regions_.read();
  const auto found = regions->find(name);
  if (found == regions->end()) {
    return not_registered(name);
  }
  return std::vector<SharedMemoryRegion>{found->second.region};
}

std::vector<SharedMemoryRegion> SharedMemory::status() const {
  const auto regions = regions_.read();
  std::vector<SharedMemoryRegion> all;
  all.reserve(regions->size());
  for (const auto& [name, entry] : *regions) {
    all.push_back(entry.region);
  }
  return all;
}

Result<SharedMemoryView> SharedMemory::view(const SharedMemoryRange& range) const {
  std::shared_ptr<const Mapping> mapping;
  {
    const auto regions = regions_.read();
    const auto found = regions->find(range.region);
    if (found == regions->end()) {
      return not_registered(range.region);
    }
    mapping = found->second.mapping;
  }
  const std::span<std::byte> bytes = mapping->bytes();
  if (range.offset > bytes.size() || range.byte_size > bytes.size() - range.offset || !mapping->whole()) {
    return beyond_end(range.region);
  }
  return SharedMemoryView{bytes.subspan(range.offset, range.byte_size), std::move(mapping)};
}

Result<SharedMemoryView> SharedMemory::view_input(const SharedMemoryRange& range, DType dtype) const {
  TESSERA_ASSIGN_OR_RETURN(SharedMemoryView found, view(range));
  if (dtype != DType::kBytes) {
    return found;
  }
  auto copy = std::make_shared<std::vector<std::byte>>(found.bytes.begin(), found.bytes.end());
  const std::span<std::byte> bytes = *copy;
  return SharedMemoryView{bytes, std::move(copy)};
}

}  // namespace tessera::server
