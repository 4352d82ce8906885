// One processor's share of run memory: best fit with joining of neighbours, in one reserved range of addresses.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tessera::engine {

// Lies in front of the bytes handed out; those begin at `this + 1`.
struct alignas(64) RunBlock {
  static constexpr std::uint32_t kNoArena = UINT32_MAX;

  std::uint64_t size = 0;           // with this header
  std::uint64_t previous_size = 0;  // of the neighbour below; 0: none
  RunBlock* next = nullptr;         // in a list of free blocks
  RunBlock* previous = nullptr;
  std::uint32_t arena = kNoArena;
  bool free = false;

  std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
  static RunBlock* of(void* bytes) { return static_cast<RunBlock*>(bytes) - 1; }
};

// Used by one thread at a time. Pages come as they are touched; those beyond what is in use and `keep` bytes more, at
// the upper end, go back to the system.
class RunArena {
 public:
  static constexpr std::uint64_t kReserved = std::uint64_t{16} << 30;  // of addresses, not of memory

  RunArena(std::uint32_t index, std::uint64_t keep) : index_(index), keep_(keep) {}
  ~RunArena();
  RunArena(const RunArena&) = delete;
  RunArena& operator=(const RunArena&) = delete;

  RunBlock* allocate(std::size_t size);  // null when the range is full or cannot be reserved
  void release(RunBlock* block);

  std::uint64_t touched() const { return touched_; }  // bytes from the start of the range that may be resident

 private:
  // Four sizes to a doubling, from 64 B to the whole range; a list holds the sizes from its own to the next.
  static constexpr std::size_t kSmallest = 64;
  static constexpr std::size_t kLists = 4 * 29;
  // So many blocks of a list are looked at for the one that fits best.
  static constexpr int kLooks = 16;

  static std::size_t list_for(std::uint64_t size);
  RunBlock* above(RunBlock* block) const;
  RunBlock* below(RunBlock* block) const;
  RunBlock* find(std::uint64_t size);
  RunBlock* extend(std::uint64_t size);
  void split(RunBlock* block, std::uint64_t size);
  void insert(RunBlock* block);
  void remove(RunBlock* block);
  void give_back_pages();

  const std::uint32_t index_;
  const std::uint64_t keep_;
  std::byte* base_ = nullptr;
  std::uint64_t top_ = 0;        // everything from here on was never handed out, or came back
  std::uint64_t last_size_ = 0;  // of the block that ends at top_; 0: none
  std::uint64_t touched_ = 0;
  std::array<RunBlock*, kLists> lists_{};
  std::array<std::uint64_t, (kLists + 63) / 64> occupied_{};  // a bit for each list that is not empty
};

}  // namespace tessera::engine
