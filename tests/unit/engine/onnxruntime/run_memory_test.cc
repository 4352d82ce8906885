#include "engine/onnxruntime/run_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace tessera::engine {
namespace {

TEST(RunMemoryTest, BlocksAreAlignedLargeEnoughAndApart) {
  RunMemory memory;
  std::vector<std::pair<unsigned char*, std::size_t>> blocks;
  for (std::size_t size = 1; size < (8U << 20); size = size * 5 / 4 + 1) {
    auto* block = static_cast<unsigned char*>(memory.allocate(size));
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 64, 0U);
    std::memset(block, static_cast<int>(size % 251), size);
    blocks.emplace_back(block, size);
  }
  for (const auto& [block, size] : blocks) {
    EXPECT_EQ(block[0], size % 251);
    EXPECT_EQ(block[size - 1], size % 251);
    memory.release(block);
  }
  EXPECT_EQ(memory.in_use(), Bytes{0});
}

TEST(RunMemoryTest, NothingAndTooMuch) {
  RunMemory memory;
  memory.release(nullptr);
  void* empty = memory.allocate(0);
  EXPECT_NE(empty, nullptr);
  memory.release(empty);
  EXPECT_EQ(memory.allocate(SIZE_MAX), nullptr);
  EXPECT_EQ(memory.allocate(std::size_t{1} << 40), nullptr);
}

TEST(RunMemoryTest, WhatIsFreedServesTheNextAndLittleIsWasted) {
  RunMemory memory;
  for (const std::size_t size : {300U, 10'000U, 3'000'000U}) {
    void* block = memory.allocate(size);
    EXPECT_LE(memory.in_use().value, std::max<std::size_t>(size * 5 / 4, 256));
    memory.release(block);
    // A little smaller will do; whichever processor this thread is on by then.
    void* again = memory.allocate(size - size / 10);
    memory.release(again);
    EXPECT_EQ(memory.in_use(), Bytes{0});
  }
}

TEST(RunMemoryTest, ACacheKeepsItsLimitAndLetsGoOfWhatIsOldest) {
  constexpr std::uint64_t kLimit = 1U << 20;
  RunMemory memory(Bytes{kLimit});
  std::vector<void*> blocks;
  for (int i = 0; i < 64; ++i) {
    blocks.push_back(memory.allocate(100'000));
  }
  for (void* block : blocks) {
    memory.release(block);
  }
  const std::uint64_t processors = std::max(1U, std::thread::hardware_concurrency());
  EXPECT_LE(memory.cached().value, kLimit * processors);
  EXPECT_GT(memory.cached().value, 0U);
  void* large = memory.allocate(1'000'000);
  memory.release(large);  // only fits where the small ones go
  EXPECT_LE(memory.cached().value, kLimit * processors);
  void* larger_than_all = memory.allocate(5'000'000);
  ASSERT_NE(larger_than_all, nullptr);
  memory.release(larger_than_all);
  EXPECT_LE(memory.cached().value, kLimit * processors);
}

TEST(RunMemoryTest, ThreadsMayGiveBackWhatOthersTook) {
  RunMemory memory(Bytes{4U << 20});
  constexpr int kRounds = 2000;
  std::vector<std::thread> threads;
  for (unsigned seed = 1; seed <= 4; ++seed) {
    threads.emplace_back([&memory, seed] {
      std::mt19937 random(seed);
      std::vector<std::pair<unsigned char*, unsigned char>> held;
      for (int i = 0; i < kRounds; ++i) {
        if (held.size() < 16 && random() % 2 == 0) {
          const std::size_t size = 1 + random() % 400'000;
          auto* block = static_cast<unsigned char*>(memory.allocate(size));
          const auto mark = static_cast<unsigned char>(random());
          block[0] = mark;
          block[size - 1] = mark;
          held.emplace_back(block, mark);
        } else if (!held.empty()) {
          const auto [block, mark] = held.back();
          held.pop_back();
          EXPECT_EQ(block[0], mark);
          std::thread([&memory, block = block] { memory.release(block); }).join();
        }
      }
      for (const auto& [block, mark] : held) {
        EXPECT_EQ(block[0], mark);
        memory.release(block);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(memory.in_use(), Bytes{0});
}

}  // namespace
}  // namespace tessera::engine
