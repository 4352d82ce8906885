// Where sessions' device memory comes from, on a card in memory.
#include <gtest/gtest.h>

#include <array>
#include <span>
#include <utility>
#include <vector>

#include "engine/onnxruntime/cuda/device_allocator.h"
#include "tests/support/cuda/fake_cuda.h"

namespace tessera::engine {
namespace {

constexpr std::uint64_t kMb = 1 << 20;

class MemorySourceTest : public testing::Test {
 protected:
  std::unique_ptr<device::DeviceRegion> region() {
    auto made = device::DeviceRegion::reserve(gpu_, {64 * kMb}, budget_);
    EXPECT_TRUE(made.ok());
    return *std::move(made);
  }
  static std::vector<CUdeviceptr> ask(MemorySource& source, const std::vector<std::size_t>& sizes) {
    std::vector<CUdeviceptr> given;
    for (const std::size_t size : sizes) {
      const auto at = source.allocate(size);
      EXPECT_TRUE(at.ok());
      given.push_back(at.ok() ? *at : 0);
    }
    return given;
  }

  device::test::FakeCuda cuda_{};
  std::shared_ptr<device::Gpu> gpu_ = *device::Gpu::open(device::test::FakeCuda::table(), 0);
  const std::shared_ptr<device::MemoryBudget> budget_ = std::make_shared<device::MemoryBudget>(Bytes{8 * kMb});
};

TEST_F(MemorySourceTest, ALaterSessionGetsTheBlocksOfTheFirst) {
  SessionSource source(region());
  source.begin_session();
  const auto first = ask(source, {100, 1000, 100});
  EXPECT_EQ(first[1] - first[0], 256U) << "blocks are aligned";
  EXPECT_EQ(first[2] - first[1], 1024U);
  const Bytes used = source.used();
  source.release(first[0]);  // what a session gives back stays its own
  source.begin_session();
  EXPECT_EQ(ask(source, {100, 1000, 100}), first);
  EXPECT_EQ(source.used(), used);
  EXPECT_EQ(source.again(), Bytes{0});
  const CUdeviceptr more = ask(source, {100}).front();  // beyond what the first asked for
  EXPECT_GE(more, first[2] + 256);
  source.begin_session();
  EXPECT_EQ(ask(source, {100, 1000, 100, 100}).back(), more);
}

TEST_F(MemorySourceTest, AnotherOrderGetsBlocksOfItsOwn) {
  SessionSource source(region());
  const auto first = ask(source, {100, 1000, 100});
  source.begin_session();
  const auto other = ask(source, {100, 2000, 100});
  EXPECT_EQ(other[0], first[0]);
  EXPECT_EQ(source.again(), Bytes{2048 + 256}) << "what is held once more is known";
  EXPECT_GE(other[1], first[2] + 256);
  EXPECT_GE(other[2], other[1] + 2000) << "although the sizes fit again";
  source.begin_session();
  EXPECT_GE(ask(source, {100, 500})[1], other[2] + 256) << "a larger block is not taken either";
  source.begin_session();
  EXPECT_EQ(ask(source, {100, 1000, 100}), first) << "the first session's order stays the rule";
}

TEST_F(MemorySourceTest, InitialisersOfASessionAreItsOwn) {
  SessionSource source(region());
  const CUdeviceptr of_first = *source.reserve(100);
  const auto first = ask(source, {100, 1000});
  source.begin_session();
  const CUdeviceptr of_second = *source.reserve(100);
  EXPECT_GE(of_second, first[1] + 1000);
  EXPECT_NE(of_second, of_first);
  EXPECT_EQ(ask(source, {100, 1000}), first) << "what is packed is shared all the same";
}

TEST_F(MemorySourceTest, SmallInitialisersTakeLittleMoreThanTheyAre) {
  SessionSource source(region());
  std::vector<CUdeviceptr> given;
  for (const std::size_t size : {1, 64, 65, 12, 128, 129, 2}) {
    given.push_back(*source.reserve(size) - std::as_const(source).region().base());
  }
  EXPECT_EQ(given, (std::vector<CUdeviceptr>{0, 64, 128, 256, 384, 512, 768}));
  EXPECT_EQ(source.used(), Bytes{832});
  EXPECT_EQ(*source.allocate(1) % 256, 0U) << "what is packed is a buffer of its own";
}

TEST_F(MemorySourceTest, WhatASessionHasForItselfIsCounted) {
  SessionSource source(region());
  source.begin_session();
  ask(source, {1000});
  for (const std::size_t size : {12, 64, 100, 300, 5000}) {
    ASSERT_TRUE(source.reserve(size).ok());
  }
  const SessionUse first = source.use();
  const std::array<std::size_t, 5> counts{2, 1, 0, 1, 1};
  const std::array<std::uint64_t, 5> bytes{76, 100, 0, 300, 5000};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    EXPECT_EQ(first.initialisers[i].count, counts[i]) << i;
    EXPECT_EQ(first.initialisers[i].bytes, Bytes{bytes[i]}) << i;
  }
  EXPECT_EQ(first.initialiser_room, Bytes{64 + 64 + 128 + 512 + 5120});
  EXPECT_EQ(first.packed_again, Bytes{0});
  source.begin_session();
  EXPECT_EQ(source.use().initialiser_room, Bytes{0});
  ask(source, {2000});
  EXPECT_EQ(source.use().packed_again, Bytes{2048}) << "in another order than the first";
}

TEST_F(MemorySourceTest, ATableIsFoundByWhatIsInIt) {
  SessionSource source(region());
  const std::array<std::uint64_t, 2> one{1, 2};
  const std::array<std::uint64_t, 2> same{1, 2};
  const std::array<std::uint64_t, 2> other{1, 3};
  EXPECT_FALSE(source.table(std::as_bytes(std::span(one))).has_value());
  const CUdeviceptr at = *source.append_small(sizeof one);
  source.keep_table(std::as_bytes(std::span(one)), at);
  EXPECT_EQ(source.table(std::as_bytes(std::span(same))), at);
  EXPECT_FALSE(source.table(std::as_bytes(std::span(other))).has_value());
  EXPECT_FALSE(source.table(std::as_bytes(std::span(one)).first(8)).has_value()) << "a shorter one";
  EXPECT_EQ(source.tables(), Bytes{16});
}

TEST_F(MemorySourceTest, WhatIsAppendedIsNobodysBlock) {
  SessionSource source(region());
  const CUdeviceptr weights = *source.append(0);
  const auto first = ask(source, {1});
  EXPECT_EQ(weights, std::as_const(source).region().base());
  EXPECT_EQ(first[0], weights + 256);
  source.begin_session();
  EXPECT_EQ(ask(source, {1}), first);
}

TEST_F(MemorySourceTest, TheBudgetHoldsForSessionsAndHeaps) {
  SessionSource session(region());
  ASSERT_TRUE(session.allocate(6 * kMb).ok());
  EXPECT_EQ(session.allocate(6 * kMb).error().code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(session.used(), Bytes{6 * kMb});
  HeapSource heap(region());
  EXPECT_EQ(heap.allocate(3 * kMb).error().code(), ErrorCode::kResourceExhausted);
  EXPECT_TRUE(heap.allocate(1 * kMb).ok());
}

TEST_F(MemorySourceTest, AHeapGivesAgainWhatCameBack) {
  HeapSource heap(region());
  const auto given = ask(heap, {1000, 2000});
  EXPECT_EQ(heap.in_use(), Bytes{1024 + 2048});
  heap.release(given[0]);
  EXPECT_EQ(heap.in_use(), Bytes{2048});
  EXPECT_EQ(ask(heap, {900}).front(), given[0]);
}

}  // namespace
}  // namespace tessera::engine
