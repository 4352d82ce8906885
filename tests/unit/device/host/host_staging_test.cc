#include "device/host/host_staging.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>
#include <vector>

namespace tessera::device {
namespace {

constexpr std::uint64_t kMega = 1ULL << 20;

std::unique_ptr<StagingBlock> lease(StagingPool& pool, std::uint64_t size) {
  auto block = pool.lease(Bytes{size});
  EXPECT_TRUE(block.ok());
  return block.ok() ? *std::move(block) : nullptr;
}

void fill(StagingBlock& block, int value) {
  const auto bytes = block.bytes();
  std::memset(bytes.data(), value, bytes.size());
}

std::size_t resident_pages(std::span<std::byte> bytes) {
  std::vector<unsigned char> pages((bytes.size() + 4095) / 4096);
  EXPECT_EQ(mincore(bytes.data(), bytes.size(), pages.data()), 0);
  std::size_t resident = 0;
  for (const unsigned char page : pages) {
    resident += page & 1U;
  }
  return resident;
}

TEST(HostStaging, ReservesAddressesAndTouchesNothing) {
  const auto pool = make_host_staging({});
  const auto block = lease(*pool, 64 * kMega);
  EXPECT_EQ(block->bytes().size(), 64 * kMega);
  EXPECT_EQ(resident_pages(block->bytes()), 0U);
  block->bytes()[10 * kMega] = std::byte{1};
  EXPECT_LE(resident_pages(block->bytes()), 512U) << "one page, or one huge page";
}

TEST(HostStaging, ReusesTheBlockGivenBackLast) {
  const auto pool = make_host_staging({});
  for (const std::uint64_t size : {std::uint64_t{100}, std::uint64_t{5000}, std::uint64_t{600'000}, 3 * kMega}) {
    auto first = lease(*pool, size);
    const std::byte* const address = first->bytes().data();
    fill(*first, 1);
    first.reset();
    const auto usage = pool->usage();
    const auto again = lease(*pool, size - 50);
    EXPECT_EQ(again->bytes().data(), address) << size;
    EXPECT_EQ(pool->usage().reserved, usage.reserved);
    EXPECT_LT(pool->usage().retained, usage.retained);
  }
}

TEST(HostStaging, SmallBlocksComeFromSlabs) {
  const auto pool = make_host_staging({});
  std::vector<std::unique_ptr<StagingBlock>> blocks(16);
  for (auto& block : blocks) {
    block = lease(*pool, 64 << 10);
  }
  EXPECT_EQ(pool->usage().reserved, Bytes{kMega});
}

TEST(HostStaging, KeepsNoMoreThanItsBound) {
  const auto pool = make_host_staging({.retained = {4 * kMega}});
  std::vector<std::unique_ptr<StagingBlock>> blocks;
  for (int i = 0; i < 16; ++i) {
    blocks.push_back(lease(*pool, kMega));
    fill(*blocks.back(), i);
  }
  std::vector<std::span<std::byte>> ranges;
  ranges.reserve(blocks.size());
  for (const auto& block : blocks) {
    ranges.push_back(block->bytes());
  }
  EXPECT_EQ(pool->usage().retained, Bytes{0});
  blocks.clear();
  EXPECT_LE(pool->usage().retained.value, 4 * kMega);
  EXPECT_GE(pool->usage().retained.value, 3 * kMega);
  std::size_t resident = 0;
  for (const auto& range : ranges) {
    resident += resident_pages(range);
  }
  EXPECT_LE(resident * 4096, 4 * kMega);
  EXPECT_GE(resident * 4096, 3 * kMega);
}

TEST(HostStaging, ASizeThatKeepsMostGivesWayToAnother) {
  const auto pool = make_host_staging({.retained = {8 * kMega}});
  std::vector<std::unique_ptr<StagingBlock>> blocks(8);
  for (auto& block : blocks) {
    block = lease(*pool, kMega);
  }
  blocks.clear();
  auto other = lease(*pool, 100'000);
  fill(*other, 1);
  const auto range = other->bytes();
  other.reset();
  EXPECT_EQ(resident_pages(range), (range.size() + 4095) / 4096) << "the newcomer is kept";
  EXPECT_LE(pool->usage().retained.value, 8 * kMega);
}

TEST(HostStaging, LimitsAreErrorsThatSayWhich) {
  const auto pool = make_host_staging({.largest = {2 * kMega}, .reserved = {4 * kMega}});
  const auto too_large = pool->lease(Bytes{2 * kMega + 1});
  ASSERT_FALSE(too_large.ok());
  EXPECT_EQ(too_large.error().code(), ErrorCode::kTooLarge);
  EXPECT_FALSE(pool->lease(Bytes{UINT64_MAX}).ok());
  auto first = lease(*pool, 2 * kMega);
  const auto second = lease(*pool, 2 * kMega);
  const auto exhausted = pool->lease(Bytes{2 * kMega});
  ASSERT_FALSE(exhausted.ok());
  EXPECT_EQ(exhausted.error().code(), ErrorCode::kResourceExhausted);
  first.reset();
  EXPECT_TRUE(pool->lease(Bytes{2 * kMega}).ok());
}

TEST(HostStaging, BlocksMayOutliveThePool) {
  auto pool = make_host_staging({});
  const auto block = lease(*pool, 5000);
  pool.reset();
  fill(*block, 3);
  EXPECT_EQ(block->bytes()[4999], std::byte{3});
}

TEST(HostStaging, ThreadsNeverShareABlock) {
  const std::uint64_t seed = 4;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  const auto pool = make_host_staging({.retained = {2 * kMega}});
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&pool, t] {
      std::mt19937_64 random(seed + t);
      std::vector<std::pair<std::unique_ptr<StagingBlock>, int>> held;
      for (int i = 0; i < 3000; ++i) {
        if (held.size() < 8 && random() % 2 == 0) {
          const int mark = static_cast<int>(random() % 256);
          held.emplace_back(lease(*pool, 1 + random() % (random() % 50 == 0 ? 1'000'000 : 20'000)), mark);
          fill(*held.back().first, mark);
        } else if (!held.empty()) {
          const std::size_t which = random() % held.size();
          for (const std::byte byte : held[which].first->bytes()) {
            ASSERT_EQ(std::to_integer<int>(byte), held[which].second);
          }
          held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
        }
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_LE(pool->usage().retained.value, 2 * kMega + 4 * 64 * 1024);
}

}  // namespace
}  // namespace tessera::device
