// System shared memory regions that clients register, for inputs read and outputs written without the wire.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "core/dtype.h"
#include "runtime/published.h"

namespace tessera::server {

struct SharedMemoryLimits {
  std::size_t max_regions = 1024;
  std::size_t max_name_bytes = 1024;
  Bytes max_total{std::uint64_t{64} << 30};  // of address space mapped for regions
};

// A registered region, as the status endpoints show it.
struct SharedMemoryRegion {
  std::string name;
  std::string key;
  std::uint64_t offset = 0;
  std::uint64_t byte_size = 0;
};

// Where a tensor lies: the parameters shared_memory_region, _offset and _byte_size of an input or output.
struct SharedMemoryRange {
  std::string region;
  std::uint64_t offset = 0;
  std::uint64_t byte_size = 0;
};

// Bytes inside a region with what keeps them mapped.
struct SharedMemoryView {
  std::span<std::byte> bytes;
  std::shared_ptr<const void> memory;
};

// Thread-safe. A region that is unregistered while requests use it is gone for new ones at once; its mapping goes with
// the last view. The peer owns the object behind a region and may change its bytes at any time: what is checked and
// then relied on (lengths in BYTES tensors) has to be copied first.
class SharedMemory {
 public:
  explicit SharedMemory(SharedMemoryLimits limits = {});
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  // `key` is a name for shm_open: an optional leading '/', then no further one. Errors: kAlreadyExists for the name;
  // kNotFound for a key without object; kInvalidArgument for bad names and ranges beyond the object's end;
  // kResourceExhausted over the limits.
  Status register_region(std::string_view name, std::string_view key, std::uint64_t offset, std::uint64_t byte_size);

  // Unknown names are fine, as in Triton.
  void unregister(std::string_view name);
  void unregister_all();

  // All regions in the order of their names, or the one named. Error: kNotFound.
  Result<std::vector<SharedMemoryRegion>> status(std::string_view name) const;
  std::vector<SharedMemoryRegion> status() const;

  // Errors: kNotFound for the region, kInvalidArgument where the range leaves it or its object has shrunk.
  Result<SharedMemoryView> view(const SharedMemoryRange& range) const;
  // The same for an input of a request: in place, except that BYTES are copied (see above).
  Result<SharedMemoryView> view_input(const SharedMemoryRange& range, DType dtype) const;

 private:
  class Mapping;
  struct Entry {
    SharedMemoryRegion region;
    std::shared_ptr<const Mapping> mapping;
  };
  using Regions = std::map<std::string, Entry, std::less<>>;

  Status check_name(const Regions& regions, std::string_view name) const;
  Status check_total(const Regions& regions, std::uint64_t more) const;

  const SharedMemoryLimits limits_;
  std::mutex changing_;  // by those who register and unregister; requests read what is published
  runtime::Published<Regions> regions_;
};

}  // namespace tessera::server
