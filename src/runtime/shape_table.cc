#include "runtime/shape_table.h"

#include <algorithm>
#include <vector>

namespace tessera::runtime {
namespace {

// FNV-1a over the dimensions.
std::uint64_t hash_of(std::span<const std::int64_t> dims) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const std::int64_t dim : dims) {
    hash = (hash ^ static_cast<std::uint64_t>(dim)) * 0x100000001b3ULL;
    hash ^= hash >> 32;
  }
  return hash;
}

}  // namespace

struct ShapeTable::Entry {
  ShapeId id;
  std::vector<std::int64_t> dims;
};

ShapeTable::~ShapeTable() {
  for (auto& place : places_) {
    std::unique_ptr<Entry>(place.load());
  }
}

ShapeId ShapeTable::intern(std::span<const std::int64_t> dims) {
  std::unique_ptr<Entry> fresh;
  for (std::uint64_t at = hash_of(dims);; ++at) {
    auto& place = places_[at % kPlaces];
    Entry* entry = place.load(std::memory_order_acquire);
    if (entry == nullptr) {
      if (!fresh) {
        const std::uint32_t number = used_.fetch_add(1, std::memory_order_relaxed);
        if (number >= kMaxShapes) {
          used_.fetch_sub(1, std::memory_order_relaxed);
          return {kFirstAlone | alone_.fetch_add(1, std::memory_order_relaxed)};
        }
        fresh = std::make_unique<Entry>(Entry{{number}, {dims.begin(), dims.end()}});
      }
      if (place.compare_exchange_strong(entry, fresh.get(), std::memory_order_acq_rel, std::memory_order_acquire)) {
        return fresh.release()->id;
      }
    }
    if (std::equal(entry->dims.begin(), entry->dims.end(), dims.begin(), dims.end())) {
      return entry->id;  // where another thread was faster, the number taken for `fresh` stays unused
    }
  }
}

}  // namespace tessera::runtime
