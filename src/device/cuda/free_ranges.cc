#include "device/cuda/free_ranges.h"

#include <iterator>

namespace tessera::device {

void FreeRanges::add(std::size_t offset, std::size_t size) {
  const auto after = parts_.lower_bound(offset);
  if (after != parts_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == offset) {
      offset = before->first;
      size += before->second;
      remove(before);
    }
  }
  if (after != parts_.end() && offset + size == after->first) {
    size += after->second;
    remove(after);
  }
  parts_.emplace(offset, size);
  by_size_.emplace(size, offset);
}

std::optional<std::size_t> FreeRanges::take(std::size_t size) {
  const auto found = by_size_.lower_bound({size, 0});
  if (found == by_size_.end()) {
    return std::nullopt;
  }
  const auto [free, offset] = *found;
  remove(parts_.find(offset));
  if (free > size) {
    add(offset + size, free - size);
  }
  return offset;
}

std::size_t FreeRanges::begin_of_last(std::size_t end) const {
  const bool there = !parts_.empty() && parts_.rbegin()->first + parts_.rbegin()->second == end;
  return there ? parts_.rbegin()->first : end;
}

void FreeRanges::remove(std::map<std::size_t, std::size_t>::iterator part) {
  by_size_.erase({part->second, part->first});
  parts_.erase(part);
}

}  // namespace tessera::device
