#include "device/cuda/buddy.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace tessera::device {

Buddy::Buddy(std::size_t size, std::size_t smallest, std::size_t largest)
    : smallest_(smallest), largest_(largest), free_(order_of(largest) + 1) {
  TESSERA_CHECK(std::has_single_bit(smallest) && std::has_single_bit(largest) && smallest <= largest);
  TESSERA_CHECK(size % largest == 0);
  for (std::size_t offset = 0; offset < size; offset += largest) {
    free_.back().insert(free_.back().end(), offset);
  }
}

std::size_t Buddy::order_of(std::size_t size) const {
  const std::size_t units = (std::max<std::size_t>(size, 1) - 1) / smallest_;
  return static_cast<std::size_t>(std::bit_width(units));
}

std::optional<std::size_t> Buddy::take(std::size_t size) {
  if (size > largest_) {
    return std::nullopt;
  }
  const std::size_t wanted = order_of(size);
  std::size_t order = wanted;
  while (order < free_.size() && free_[order].empty()) {
    ++order;
  }
  if (order == free_.size()) {
    return std::nullopt;
  }
  const std::size_t offset = *free_[order].begin();
  free_[order].erase(free_[order].begin());
  while (order > wanted) {
    --order;
    free_[order].insert(offset + (smallest_ << order));
  }
  return offset;
}

void Buddy::give_back(std::size_t offset, std::size_t size) {
  std::size_t order = order_of(size);
  TESSERA_CHECK(order < free_.size() && offset % (smallest_ << order) == 0);
  for (; order + 1 < free_.size(); ++order) {
    const auto neighbour = free_[order].find(offset ^ (smallest_ << order));
    if (neighbour == free_[order].end()) {
      break;
    }
    offset = std::min(offset, *neighbour);
    free_[order].erase(neighbour);
  }
  TESSERA_CHECK(free_[order].insert(offset).second);
}

}  // namespace tessera::device
