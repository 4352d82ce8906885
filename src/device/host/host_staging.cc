#include "device/host/host_staging.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"

namespace tessera::device {
namespace {

constexpr std::size_t kSmallest = 1U << 10;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kSlab = 1U << 20;
constexpr std::size_t kClasses = 32;  // 1 KB to 2 TB
constexpr std::size_t kShards = 4;

std::size_t class_of(std::size_t size) {
  return static_cast<std::size_t>(std::bit_width((std::max(size, kSmallest) - 1) / kSmallest));
}

std::size_t size_of_class(std::size_t size_class) { return kSmallest << size_class; }

// A block's addresses, and how many of its bytes at most have pages.
struct Range {
  std::byte* data = nullptr;
  std::size_t touched = 0;
};

// The free blocks of one size that one list holds. Owned by who holds its mutex.
struct Shard {
  std::mutex mutex;
  std::deque<Range> warm;   // with pages; the coldest in front
  std::vector<Range> cold;  // without
  std::byte* slab = nullptr;
  std::size_t slab_left = 0;
  std::vector<std::pair<std::byte*, std::size_t>> slabs;
};

// Calls `use` with each shard that no other thread uses, the calling thread's own first, until it returns true or all
// have been offered.
template <typename Use>
bool offer(std::array<Shard, kShards>& shards, Use use) {
  const std::size_t own = std::hash<std::thread::id>{}(std::this_thread::get_id());
  for (std::size_t step = 0; step < kShards; ++step) {
    Shard& shard = shards[(own + step) % kShards];
    const std::unique_lock lock(shard.mutex, std::try_to_lock);
    if (lock.owns_lock() && use(shard)) {
      return true;
    }
  }
  return false;
}

// Thread-safe.
class Core {
 public:
  explicit Core(const HostStagingLimits& limits) : limits_(limits) {}
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  Result<Range> take(std::size_t size);
  void give_back(Range range, std::size_t size_class);
  HostStagingPool::Usage usage() const { return {{reserved_.load()}, {total_retained()}}; }

 private:
  using Shards = std::array<Shard, kShards>;

  std::optional<Range> take_warm(std::size_t size_class);
  Result<Range> take_cold(std::size_t size_class);
  Status grow(Shard& shard, std::size_t size_class);
  void trim();
  std::uint64_t total_retained() const;

  const HostStagingLimits limits_;
  std::array<Shards, kClasses> classes_;
  std::array<std::atomic<std::uint64_t>, kClasses> retained_{};
  std::atomic<std::uint64_t> reserved_{0};
};

Core::~Core() {
  for (Shards& shards : classes_) {
    for (Shard& shard : shards) {
      for (const auto& [data, size] : shard.slabs) {
        munmap(data, size);
      }
    }
  }
}

std::uint64_t Core::total_retained() const {
  std::uint64_t sum = 0;
  for (const auto& retained : retained_) {
    sum += retained.load(std::memory_order_relaxed);
  }
  return sum;
}

Result<Range> Core::take(std::size_t size) {
  const std::size_t size_class = class_of(size);
  std::optional<Range> range = take_warm(size_class);
  if (!range) {
    TESSERA_ASSIGN_OR_RETURN(range, take_cold(size_class));
  }
  range->touched = std::max(range->touched, std::min((size + kPage - 1) / kPage * kPage, size_of_class(size_class)));
  return *range;
}

std::optional<Range> Core::take_warm(std::size_t size_class) {
  std::optional<Range> range;
  offer(classes_[size_class], [&](Shard& shard) {
    if (shard.warm.empty()) {
      return false;
    }
    range = shard.warm.back();
    shard.warm.pop_back();
    return true;
  });
  if (range) {
    retained_[size_class].fetch_sub(range->touched, std::memory_order_relaxed);
  }
  return range;
}

Result<Range> Core::take_cold(std::size_t size_class) {
  std::optional<Range> range;
  Status status;
  const auto use = [&](Shard& shard) {
    if (shard.cold.empty() && shard.slab_left == 0) {
      status = grow(shard, size_class);
      if (!status.ok()) {
        return true;
      }
    }
    if (!shard.cold.empty()) {
      range = shard.cold.back();
      shard.cold.pop_back();
    } else {
      range = Range{shard.slab, 0};
      shard.slab += size_of_class(size_class);
      shard.slab_left -= size_of_class(size_class);
    }
    return true;
  };
  while (!offer(classes_[size_class], use)) {
    std::this_thread::yield();
  }
  if (!status.ok()) {
    return status.error();
  }
  return *range;
}

Status Core::grow(Shard& shard, std::size_t size_class) {
  const std::size_t size = std::max(kSlab, size_of_class(size_class));
  if (reserved_.fetch_add(size) + size > limits_.reserved.value) {
    reserved_.fetch_sub(size);
    return Error(ErrorCode::kResourceExhausted, "request memory: all " + std::to_string(limits_.reserved.value) +
                                                    " bytes of address space are in use");
  }
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    reserved_.fetch_sub(size);
    return Error(ErrorCode::kResourceExhausted, "request memory: " + std::generic_category().message(errno));
  }
  shard.slab = static_cast<std::byte*>(data);
  shard.slab_left = size;
  shard.slabs.emplace_back(shard.slab, size);
  return ok_status();
}

void Core::give_back(Range range, std::size_t size_class) {
  retained_[size_class].fetch_add(range.touched, std::memory_order_relaxed);
  while (!offer(classes_[size_class], [&](Shard& shard) {
    shard.warm.push_back(range);
    return true;
  })) {
    std::this_thread::yield();
  }
  while (total_retained() > limits_.retained.value) {
    const auto before = total_retained();
    trim();
    if (total_retained() >= before) {
      break;  // others are using those lists; whoever gives back next tries again
    }
  }
}

// Frees the pages of the coldest block of the size that keeps most.
void Core::trim() {
  const auto first = retained_.begin() + static_cast<std::ptrdiff_t>(class_of(kPage));
  const auto most = std::max_element(first, retained_.end(), [](const auto& a, const auto& b) {
    return a.load(std::memory_order_relaxed) < b.load(std::memory_order_relaxed);
  });
  Shards& shards = classes_[static_cast<std::size_t>(most - retained_.begin())];
  std::optional<Range> range;
  offer(shards, [&](Shard& shard) {
    if (shard.warm.empty()) {
      return false;
    }
    range = shard.warm.front();
    shard.warm.pop_front();
    return true;
  });
  if (!range) {
    return;
  }
  most->fetch_sub(range->touched, std::memory_order_relaxed);
  madvise(range->data, range->touched, MADV_DONTNEED);
  while (!offer(shards, [&](Shard& shard) {
    shard.cold.push_back({range->data, 0});
    return true;
  })) {
    std::this_thread::yield();
  }
}

// A leased range; goes back to the pool with this. Owned by who leased it, one thread at a time.
class Block final : public StagingBlock {
 public:
  Block(std::shared_ptr<Core> core, Range range, std::size_t size)
      : core_(std::move(core)), range_(range), size_(size) {}
  ~Block() override { core_->give_back(range_, class_of(size_)); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  std::span<std::byte> bytes() override { return {range_.data, size_}; }

 private:
  const std::shared_ptr<Core> core_;
  const Range range_;
  const std::size_t size_;
};

// What callers hold: leases outlive it, by sharing the core. Thread-safe.
class Pool final : public HostStagingPool {
 public:
  explicit Pool(const HostStagingLimits& limits)
      : largest_(std::min<std::uint64_t>(limits.largest.value, size_of_class(kClasses - 1))),
        core_(std::make_shared<Core>(limits)) {}

  Result<std::unique_ptr<StagingBlock>> lease(Bytes size) override {
    if (size.value > largest_) {
      return Error(ErrorCode::kTooLarge, "request memory: " + std::to_string(size.value) +
                                             " bytes are over the limit of " + std::to_string(largest_));
    }
    TESSERA_ASSIGN_OR_RETURN(const Range range, core_->take(size.value));
    return std::unique_ptr<StagingBlock>(std::make_unique<Block>(core_, range, size.value));
  }

  Usage usage() const override { return core_->usage(); }

 private:
  const std::uint64_t largest_;
  const std::shared_ptr<Core> core_;
};

}  // namespace

std::unique_ptr<HostStagingPool> make_host_staging(const HostStagingLimits& limits) {
  return std::make_unique<Pool>(limits);
}

}  // namespace tessera::device
