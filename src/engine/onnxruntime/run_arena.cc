#include "engine/onnxruntime/run_arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <memory>

#include "base/check.h"

namespace tessera::engine {
namespace {

constexpr std::uint64_t kPage = 4096;

std::uint64_t rounded_up(std::uint64_t value, std::uint64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

RunArena::~RunArena() {
  if (base_ != nullptr) {
    ::munmap(base_, kReserved);
  }
}

std::size_t RunArena::list_for(std::uint64_t size) {
  TESSERA_CHECK(size >= kSmallest);
  const int doubling = std::bit_width(size) - 1;
  const std::uint64_t quarter = (size >> (doubling - 2)) & 3;
  return 4 * static_cast<std::size_t>(doubling - std::bit_width(kSmallest) + 1) + quarter;
}

RunBlock* RunArena::above(RunBlock* block) const {
  std::byte* end = reinterpret_cast<std::byte*>(block) + block->size;
  return end == base_ + top_ ? nullptr : reinterpret_cast<RunBlock*>(end);
}

RunBlock* RunArena::below(RunBlock* block) const {
  return block->previous_size == 0
             ? nullptr
             : reinterpret_cast<RunBlock*>(reinterpret_cast<std::byte*>(block) - block->previous_size);
}

void RunArena::insert(RunBlock* block) {
  const std::size_t list = list_for(block->size);
  block->free = true;
  block->previous = nullptr;
  block->next = lists_[list];
  if (block->next != nullptr) {
    block->next->previous = block;
  }
  lists_[list] = block;
  occupied_[list / 64] |= std::uint64_t{1} << (list % 64);
}

void RunArena::remove(RunBlock* block) {
  const std::size_t list = list_for(block->size);
  if (block->next != nullptr) {
    block->next->previous = block->previous;
  }
  if (block->previous != nullptr) {
    block->previous->next = block->next;
  } else {
    lists_[list] = block->next;
    if (block->next == nullptr) {
      occupied_[list / 64] &= ~(std::uint64_t{1} << (list % 64));
    }
  }
  block->free = false;
}

RunBlock* RunArena::find(std::uint64_t size) {
  const std::size_t first = list_for(size);
  for (std::size_t word = first / 64; word < occupied_.size(); ++word) {
    std::uint64_t bits = occupied_[word];
    if (word == first / 64) {
      bits &= ~std::uint64_t{0} << (first % 64);
    }
    for (; bits != 0; bits &= bits - 1) {
      RunBlock* best = nullptr;
      RunBlock* block = lists_[word * 64 + static_cast<std::size_t>(std::countr_zero(bits))];
      for (int looks = 0; block != nullptr && looks < kLooks; ++looks, block = block->next) {
        if (block->size >= size && (best == nullptr || block->size < best->size)) {
          best = block;
        }
      }
      if (best != nullptr) {
        return best;
      }
    }
  }
  return nullptr;
}

RunBlock* RunArena::extend(std::uint64_t size) {
  if (base_ == nullptr) {
    void* reserved =
        ::mmap(nullptr, kReserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) {
      return nullptr;
    }
    base_ = static_cast<std::byte*>(reserved);
  }
  if (size > kReserved - top_) {
    return nullptr;
  }
  auto* block = std::construct_at(reinterpret_cast<RunBlock*>(base_ + top_));
  block->size = size;
  block->previous_size = last_size_;
  block->arena = index_;
  top_ += size;
  last_size_ = size;
  touched_ = std::max(touched_, rounded_up(top_, kPage));
  return block;
}

void RunArena::split(RunBlock* block, std::uint64_t size) {
  constexpr std::uint64_t kWorthIt = 4 * kSmallest;
  if (block->size - size < kWorthIt) {
    return;
  }
  auto* rest = std::construct_at(reinterpret_cast<RunBlock*>(reinterpret_cast<std::byte*>(block) + size));
  rest->size = block->size - size;
  rest->previous_size = size;
  rest->arena = index_;
  block->size = size;
  if (RunBlock* next = above(rest)) {
    next->previous_size = rest->size;
  } else {
    last_size_ = rest->size;
  }
  insert(rest);
}

RunBlock* RunArena::allocate(std::size_t size) {
  if (size > kReserved) {
    return nullptr;
  }
  const std::uint64_t whole = sizeof(RunBlock) + rounded_up(std::max<std::uint64_t>(size, 1), kSmallest);
  if (RunBlock* block = find(whole)) {
    remove(block);
    split(block, whole);
    return block;
  }
  return extend(whole);
}

void RunArena::release(RunBlock* block) {
  if (RunBlock* next = above(block); next != nullptr && next->free) {
    remove(next);
    block->size += next->size;
  }
  if (RunBlock* previous = below(block); previous != nullptr && previous->free) {
    remove(previous);
    previous->size += block->size;
    block = previous;
  }
  if (RunBlock* next = above(block)) {
    next->previous_size = block->size;
    insert(block);
    return;
  }
  top_ = static_cast<std::uint64_t>(reinterpret_cast<std::byte*>(block) - base_);
  last_size_ = block->previous_size;
  give_back_pages();
}

void RunArena::give_back_pages() {
  const std::uint64_t kept = rounded_up(top_ + keep_, kPage);
  if (kept < touched_) {
    ::madvise(base_ + kept, touched_ - kept, MADV_DONTNEED);
    touched_ = kept;
  }
}

}  // namespace tessera::engine
