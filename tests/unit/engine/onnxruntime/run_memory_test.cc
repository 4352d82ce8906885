#include "engine/onnxruntime/run_memory.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "base/affinity.h"

namespace tessera::engine {
namespace {

constexpr std::uint64_t kKeep = 1U << 20;

TEST(RunArenaTest, BlocksAreAlignedLargeEnoughAndApart) {
  RunArena arena(0, kKeep);
  std::vector<std::pair<RunBlock*, std::size_t>> blocks;
  for (std::size_t size = 0; size < (8U << 20); size = size * 5 / 4 + 1) {
    RunBlock* block = arena.allocate(size);
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block->bytes()) % 64, 0U);
    std::memset(block->bytes(), static_cast<int>(size % 251), size);
    blocks.emplace_back(block, size);
  }
  for (const auto& [block, size] : blocks) {
    if (size > 0) {
      EXPECT_EQ(std::to_integer<std::size_t>(block->bytes()[0]), size % 251);
      EXPECT_EQ(std::to_integer<std::size_t>(block->bytes()[size - 1]), size % 251);
    }
    arena.release(block);
  }
}

TEST(RunArenaTest, TooMuchIsRefused) {
  RunArena arena(0, kKeep);
  EXPECT_EQ(arena.allocate(SIZE_MAX), nullptr);
  EXPECT_EQ(arena.allocate(RunArena::kReserved), nullptr);
  EXPECT_NE(arena.allocate(1), nullptr);
}

TEST(RunArenaTest, NeighboursJoinSoThatOtherSizesFindRoom) {
  RunArena arena(0, kKeep);
  std::vector<RunBlock*> small(100);
  for (RunBlock*& block : small) {
    block = arena.allocate(100'000);
  }
  RunBlock* last = arena.allocate(64);
  const std::uint64_t before = arena.touched();
  for (std::size_t i = 0; i < small.size(); i += 2) {
    arena.release(small[i]);
  }
  for (std::size_t i = 1; i < small.size(); i += 2) {
    arena.release(small[i]);
  }
  RunBlock* large = arena.allocate(9'900'000);
  EXPECT_EQ(arena.touched(), before);
  EXPECT_LT(large, last);
  arena.release(large);
  // And back to small ones.
  for (RunBlock*& block : small) {
    block = arena.allocate(100'000);
    EXPECT_LT(block, last);
  }
  EXPECT_EQ(arena.touched(), before);
}

TEST(RunArenaTest, PagesBeyondWhatIsKeptGoBack) {
  RunArena arena(0, kKeep);
  RunBlock* low = arena.allocate(1000);
  RunBlock* high = arena.allocate(64U << 20);
  EXPECT_GT(arena.touched(), 64U << 20);
  arena.release(high);
  EXPECT_LE(arena.touched(), kKeep + 3 * 4096);
  high = arena.allocate(64U << 20);
  std::memset(high->bytes(), 1, 64U << 20);
  arena.release(low);
  arena.release(high);
  EXPECT_LE(arena.touched(), kKeep);
}

TEST(RunArenaTest, AnyOrderOfTakingAndGivingBackKeepsBlocksWhole) {
  constexpr std::uint32_t kSeed = 7;
  std::mt19937 random(kSeed);
  RunArena arena(0, kKeep);
  std::vector<std::pair<RunBlock*, std::uint32_t>> held;
  for (int i = 0; i < 100'000; ++i) {
    if (held.size() < 64 && random() % 2 == 0) {
      const std::size_t size = 8 + random() % (random() % 8 == 0 ? 1'000'000 : 2'000);
      RunBlock* block = arena.allocate(size);
      const std::uint32_t mark = random();
      std::memcpy(block->bytes(), &mark, 4);
      std::memcpy(block->bytes() + size - 4, &mark, 4);
      block->previous = reinterpret_cast<RunBlock*>(size);  // unused while handed out
      held.emplace_back(block, mark);
    } else if (!held.empty()) {
      std::swap(held[random() % held.size()], held.back());
      const auto [block, mark] = held.back();
      const auto size = reinterpret_cast<std::size_t>(block->previous);
      ASSERT_EQ(std::memcmp(block->bytes(), &mark, 4), 0) << "seed " << kSeed;
      ASSERT_EQ(std::memcmp(block->bytes() + size - 4, &mark, 4), 0) << "seed " << kSeed;
      held.pop_back();
      arena.release(block);
    }
  }
  for (const auto& [block, mark] : held) {
    arena.release(block);
  }
  EXPECT_LE(arena.touched(), kKeep);  // everything has become one again
}

TEST(RunMemoryTest, NothingAndTooMuch) {
  RunMemory memory;
  memory.release(nullptr);
  void* empty = memory.allocate(0);
  EXPECT_NE(empty, nullptr);
  memory.release(empty);
  EXPECT_EQ(memory.allocate(SIZE_MAX), nullptr);
  EXPECT_EQ(memory.in_use(), Bytes{0});
}

TEST(RunMemoryTest, MoreThanAnArenaHoldsComesFromTheSystem) {
  RunMemory memory;
  void* lasting = RunMemory::allocate_lasting(100);
  ASSERT_NE(lasting, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(lasting) % 64, 0U);
  EXPECT_EQ(memory.held(), Bytes{0});
  memory.release(lasting);
}

TEST(RunMemoryTest, OneModelAfterTheOtherOnACoreUsesTheSameMemory) {
  CpuSet one;
  one.add(allowed_cpus().value().list().front());
  const ScopedPin pin(one);
  RunMemory memory;
  for (const std::size_t size : {10'000'000U, 3'000'000U, 9'000'000U, 100U}) {
    memory.release(memory.allocate(size));
  }
  EXPECT_LE(memory.held().value, 10'100'000U);
  EXPECT_EQ(memory.in_use(), Bytes{0});
}

TEST(RunMemoryTest, ThreadsMayGiveBackWhatOthersTook) {
  RunMemory memory(Bytes{4U << 20});
  constexpr int kRounds = 20'000;
  // Slots that all threads put blocks into and take them out of.
  struct Slot {
    std::mutex mutex;
    unsigned char* block = nullptr;
    std::size_t size = 0;
  };
  std::vector<Slot> slots(32);
  std::vector<std::thread> threads;
  for (unsigned seed = 1; seed <= 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < kRounds; ++i) {
        const std::size_t size = 1 + random() % 100'000;
        auto* mine = static_cast<unsigned char*>(memory.allocate(size));
        mine[0] = mine[size - 1] = static_cast<unsigned char>(size);
        Slot& slot = slots[random() % slots.size()];
        std::size_t other_size = size;
        {
          const std::lock_guard lock(slot.mutex);
          std::swap(slot.block, mine);
          std::swap(slot.size, other_size);
        }
        if (mine != nullptr) {
          ASSERT_EQ(mine[0], static_cast<unsigned char>(other_size));
          ASSERT_EQ(mine[other_size - 1], static_cast<unsigned char>(other_size));
          memory.release(mine);
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (Slot& slot : slots) {
    memory.release(slot.block);
  }
  EXPECT_EQ(memory.in_use(), Bytes{0});
}

}  // namespace
}  // namespace tessera::engine
