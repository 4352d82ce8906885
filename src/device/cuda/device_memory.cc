#include "device/cuda/device_memory.h"

#include <algorithm>
#include <limits>
#include <string>

#include "base/check.h"

namespace tessera::device {
namespace {

constexpr std::uint64_t kMegabyte = 1 << 20;

std::uint64_t megabytes(std::uint64_t bytes) { return bytes / kMegabyte + (bytes % kMegabyte == 0 ? 0 : 1); }

// Nothing where there is no such number.
std::optional<std::size_t> round_up(std::uint64_t size, std::size_t multiple) {
  const std::uint64_t over = size % multiple;
  if (over == 0) {
    return size;
  }
  return size > std::numeric_limits<std::size_t>::max() - multiple ? std::nullopt
                                                                   : std::optional(size + multiple - over);
}

CUmemAllocationProp properties(const Gpu& gpu) {
  CUmemAllocationProp wanted{};
  wanted.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  wanted.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  wanted.location.id = gpu.ordinal();
  return wanted;
}

}  // namespace

Status MemoryBudget::take(Bytes bytes) {
  const std::lock_guard lock(mutex_);
  if (limit_ && (bytes > *limit_ || taken_.value > limit_->value - bytes.value)) {
    return Error(ErrorCode::kResourceExhausted, "memory_limit_mb " + std::to_string(limit_->value / kMegabyte) +
                                                    " is too little: " + std::to_string(megabytes(taken_.value)) +
                                                    " MB are taken, and " + std::to_string(megabytes(bytes.value)) +
                                                    " MB more are needed");
  }
  taken_.value += bytes.value;
  return ok_status();
}

void MemoryBudget::give_back(Bytes bytes) {
  const std::lock_guard lock(mutex_);
  TESSERA_CHECK(bytes <= taken_);
  taken_.value -= bytes.value;
}

Bytes MemoryBudget::taken() const {
  const std::lock_guard lock(mutex_);
  return taken_;
}

Result<std::unique_ptr<DeviceRegion>> DeviceRegion::reserve(std::shared_ptr<Gpu> gpu, Bytes addresses,
                                                            std::shared_ptr<MemoryBudget> budget) {
  TESSERA_CHECK(budget != nullptr);
  std::unique_ptr<DeviceRegion> region(new DeviceRegion(std::move(gpu), std::move(budget)));
  const Gpu& card = *region->gpu_;
  const Driver& driver = card.driver();
  const CurrentContext current(card);
  TESSERA_RETURN_IF_ERROR(current.status());
  const CUmemAllocationProp wanted = properties(card);
  TESSERA_RETURN_IF_ERROR(driver.check(
      driver.mem_get_allocation_granularity(&region->granularity_, &wanted, CU_MEM_ALLOC_GRANULARITY_MINIMUM),
      "read in which steps memory is mapped"));
  const auto size = round_up(addresses.value, region->granularity_);
  if (!size || *size == 0) {
    return invalid_argument("a range of " + std::to_string(addresses.value) + " addresses cannot be reserved");
  }
  TESSERA_RETURN_IF_ERROR(
      driver.check(driver.mem_address_reserve(&region->base_, *size, 0, region->gpu_->next_addresses(*size), 0),
                   "reserve addresses of the card"));
  region->reserved_ = {*size};
  return region;
}

DeviceRegion::~DeviceRegion() {
  const Driver& driver = gpu_->driver();
  const CurrentContext current(*gpu_);
  // Piece by piece: a range that was mapped in pieces is not unmapped in one.
  CUdeviceptr at = base_;
  for (const std::size_t piece : pieces_) {
    static_cast<void>(driver.mem_unmap(at, piece));
    at += piece;
  }
  if (base_ != 0) {
    static_cast<void>(driver.mem_address_free(base_, reserved_.value));
  }
  budget_->give_back(mapped_);
}

Status DeviceRegion::grow(Bytes to) {
  if (to <= mapped_) {
    return ok_status();
  }
  if (to > reserved_) {
    return Error(ErrorCode::kResourceExhausted, std::to_string(megabytes(to.value)) +
                                                    " MB are needed where addresses for " +
                                                    std::to_string(megabytes(reserved_.value)) + " MB are reserved");
  }
  // reserved_ is a multiple of the step, so this stays within it.
  const std::size_t size = *round_up(to.value - mapped_.value, granularity_);
  TESSERA_RETURN_IF_ERROR(budget_->take({size}));
  if (Status done = map(size); !done.ok()) {
    budget_->give_back({size});
    return done;
  }
  const std::lock_guard lock(pieces_mutex_);
  pieces_.push_back(size);
  mapped_.value += size;
  return ok_status();
}

Status DeviceRegion::open_to(const Gpu& reader) const {
  const Driver& driver = gpu_->driver();
  if (reader.ordinal() == gpu_->ordinal()) {
    return ok_status();
  }
  int can = 0;
  TESSERA_RETURN_IF_ERROR(
      driver.check(driver.device_can_access_peer(&can, reader.number(), gpu_->number()), "ask about a peer"));
  if (can == 0) {
    return unsupported("GPU " + std::to_string(reader.ordinal()) + " has no way to the memory of GPU " +
                       std::to_string(gpu_->ordinal()));
  }
  CUmemAccessDesc access{};
  access.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  access.location.id = reader.ordinal();
  access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;  // to read alone is not offered by every driver
  const CurrentContext current(*gpu_);
  TESSERA_RETURN_IF_ERROR(current.status());
  const std::lock_guard lock(pieces_mutex_);
  CUdeviceptr at = base_;
  for (const std::size_t piece : pieces_) {
    TESSERA_RETURN_IF_ERROR(driver.check(driver.mem_set_access(at, piece, &access, 1), "open memory to a peer"));
    at += piece;
  }
  return ok_status();
}

Status DeviceRegion::map(std::size_t size) {
  const Driver& driver = gpu_->driver();
  const CurrentContext current(*gpu_);
  TESSERA_RETURN_IF_ERROR(current.status());
  const CUdeviceptr at = base_ + mapped_.value;
  const CUmemAllocationProp wanted = properties(*gpu_);
  CUmemGenericAllocationHandle memory = 0;
  const CUresult created = driver.mem_create(&memory, size, &wanted, 0);
  if (created == CUDA_ERROR_OUT_OF_MEMORY) {
    return no_memory(size);
  }
  TESSERA_RETURN_IF_ERROR(driver.check(created, "take memory of the card"));
  const CUresult mapped = driver.mem_map(at, size, 0, memory, 0);
  // The mapping keeps it from here on.
  const CUresult released = driver.mem_release(memory);
  TESSERA_RETURN_IF_ERROR(driver.check(mapped, "map memory of the card"));
  const CUmemAccessDesc access{wanted.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  const CUresult allowed = released == CUDA_SUCCESS ? driver.mem_set_access(at, size, &access, 1) : released;
  if (allowed != CUDA_SUCCESS) {
    static_cast<void>(driver.mem_unmap(at, size));
  }
  return driver.check(allowed, "map memory of the card");
}

Error DeviceRegion::no_memory(std::size_t size) const {
  std::size_t free = 0;
  std::size_t total = 0;
  std::string text = gpu_->name() + " has no more memory: " + std::to_string(megabytes(size)) + " MB more are needed";
  if (gpu_->driver().mem_get_info(&free, &total) == CUDA_SUCCESS) {
    text += ", and " + std::to_string(free / kMegabyte) + " MB are free";
  }
  return {ErrorCode::kOutOfMemory, text};
}

Result<CUdeviceptr> RegionHeap::allocate(std::size_t size) {
  const auto wanted = round_up(std::max<std::size_t>(size, 1), kAlignment);
  if (!wanted) {
    return Error(ErrorCode::kResourceExhausted, "no card has " + std::to_string(size) + " bytes");
  }
  take_in();
  auto offset = free_.take(*wanted);
  if (!offset) {
    const std::size_t from = free_.begin_of_last(known_);  // a free block at the end is made use of
    if (*wanted > std::numeric_limits<std::size_t>::max() - from) {
      return Error(ErrorCode::kResourceExhausted, "no card has " + std::to_string(size) + " bytes");
    }
    TESSERA_RETURN_IF_ERROR(region_.grow({from + *wanted}));
    take_in();
    offset = free_.take(*wanted);
    TESSERA_CHECK(offset.has_value());
  }
  used_.emplace(*offset, *wanted);
  in_use_ += *wanted;
  peak_ = std::max(peak_, in_use_);
  return region_.base() + *offset;
}

void RegionHeap::release(CUdeviceptr at) {
  const auto found = used_.find(at - region_.base());
  TESSERA_CHECK(found != used_.end());
  const auto [offset, size] = *found;
  used_.erase(found);
  in_use_ -= size;
  free_.add(offset, size);
}

void RegionHeap::take_in() {
  const std::size_t mapped = region_.mapped().value;
  if (mapped > known_) {
    free_.add(known_, mapped - known_);
    known_ = mapped;
  }
}

}  // namespace tessera::device
