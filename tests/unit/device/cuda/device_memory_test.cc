#include "device/cuda/device_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "tests/support/cuda/fake_cuda.h"

namespace tessera::device {
namespace {

using test::FakeCuda;

constexpr std::uint64_t kMb = 1 << 20;
constexpr std::uint64_t kStep = 2 * kMb;  // the fake's

std::byte* memory(CUdeviceptr at) { return reinterpret_cast<std::byte*>(at); }

TEST(MemoryBudgetTest, CountsAndRefusesInWordsThatNameTheLimit) {
  MemoryBudget budget(Bytes{10 * kMb});
  EXPECT_TRUE(budget.take({6 * kMb}).ok());
  const Status refused = budget.take({4 * kMb + 1});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(refused.error().message(), "memory_limit_mb 10 is too little: 6 MB are taken, and 5 MB more are needed");
  EXPECT_EQ(budget.taken(), Bytes{6 * kMb}) << "what is refused is not taken";
  EXPECT_TRUE(budget.take({4 * kMb}).ok());
  budget.give_back({10 * kMb});
  EXPECT_EQ(budget.taken(), Bytes{0});
  EXPECT_FALSE(budget.take({~std::uint64_t{0}}).ok());
}

TEST(MemoryBudgetTest, WithoutALimitOnlyCounts) {
  MemoryBudget budget(std::nullopt);
  EXPECT_TRUE(budget.take({1ULL << 50}).ok());
  EXPECT_EQ(budget.taken(), Bytes{1ULL << 50});
}

class DeviceRegionTest : public testing::Test {
 protected:
  DeviceRegionTest() { gpu_ = *Gpu::open(driver_, 0); }

  std::unique_ptr<DeviceRegion> reserve(std::uint64_t size) {
    auto region = DeviceRegion::reserve(gpu_, {size}, budget_);
    EXPECT_TRUE(region.ok());
    return *std::move(region);
  }

  FakeCuda cuda_{{.gpus = 2, .memory = 64 * kMb}};
  const Driver driver_ = FakeCuda::table();
  std::shared_ptr<Gpu> gpu_;
  const std::shared_ptr<MemoryBudget> budget_ = std::make_shared<MemoryBudget>(Bytes{32 * kMb});
};

TEST_F(DeviceRegionTest, GrowsInPlaceAndKeepsWhatIsThere) {
  const auto region = reserve(kStep * 10 - 5);
  EXPECT_EQ(region->reserved(), Bytes{kStep * 10});
  EXPECT_EQ(region->mapped(), Bytes{0});
  const CUdeviceptr base = region->base();
  ASSERT_TRUE(region->grow({1}).ok());
  EXPECT_EQ(region->mapped(), Bytes{kStep});
  std::memset(memory(base), 7, kStep);
  ASSERT_TRUE(region->grow({2 * kStep + 1}).ok());
  EXPECT_EQ(region->base(), base);
  EXPECT_EQ(region->mapped(), Bytes{3 * kStep});
  EXPECT_TRUE(std::all_of(memory(base), memory(base + kStep), [](std::byte b) { return b == std::byte{7}; }));
  std::memset(memory(base + kStep), 8, 2 * kStep);  // all of it is there
  ASSERT_TRUE(region->grow({kStep}).ok()) << "less than there is: nothing to do";
  EXPECT_EQ(budget_->taken(), Bytes{3 * kStep});
}

TEST_F(DeviceRegionTest, IsOpenedPieceByPieceToAnotherCardAlone) {
  const auto region = reserve(kStep * 4);
  ASSERT_TRUE(region->grow({kStep}).ok());
  ASSERT_TRUE(region->grow({3 * kStep}).ok());
  cuda_.forget_calls();
  EXPECT_TRUE(region->open_to(*gpu_).ok());
  EXPECT_EQ(cuda_.count("cuMemSetAccess"), 0U) << "its own card has it already";
  const auto other = *Gpu::open(driver_, 1);
  EXPECT_TRUE(region->open_to(*other).ok());
  EXPECT_EQ(cuda_.count("cuMemSetAccess"), 2U) << "a call a piece: they were mapped one by one";
  cuda_.fail("cuMemSetAccess", CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(region->open_to(*other).error().code(), ErrorCode::kOutOfMemory);
  cuda_.part_cards();
  const Status apart = region->open_to(*other);
  ASSERT_FALSE(apart.ok());
  EXPECT_EQ(apart.error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(apart.error().message(), "GPU 1 has no way to the memory of GPU 0");
}

TEST_F(DeviceRegionTest, GivesEverythingBackAndNeverFrees) {
  const std::size_t before = cuda_.alive();
  {
    const auto region = reserve(kStep * 4);
    ASSERT_TRUE(region->grow({kStep}).ok());
    ASSERT_TRUE(region->grow({kStep * 4}).ok());
  }
  EXPECT_EQ(cuda_.alive(), before);
  EXPECT_EQ(budget_->taken(), Bytes{0});
  EXPECT_EQ(cuda_.count("cuMemFree"), 0U) << "it waits for every kernel";
  EXPECT_EQ(cuda_.count("cuMemAlloc"), 0U);
}

TEST_F(DeviceRegionTest, IsBoundByTheLimitThatItShares) {
  const auto weights = reserve(64 * kMb);
  const auto lane = reserve(64 * kMb);
  ASSERT_TRUE(weights->grow({20 * kMb}).ok());
  ASSERT_TRUE(lane->grow({10 * kMb}).ok());
  const Status refused = lane->grow({14 * kMb});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message(), "memory_limit_mb 32 is too little: 30 MB are taken, and 4 MB more are needed");
  EXPECT_EQ(lane->mapped(), Bytes{10 * kMb});
  EXPECT_TRUE(lane->grow({12 * kMb}).ok());
}

TEST_F(DeviceRegionTest, SaysWhatIsFreeWhereTheCardIsFull) {
  const auto unlimited = std::make_shared<MemoryBudget>(std::nullopt);
  const auto region = *DeviceRegion::reserve(gpu_, {100 * kMb}, unlimited);
  ASSERT_TRUE(region->grow({60 * kMb}).ok());
  const Status refused = region->grow({66 * kMb});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kOutOfMemory);
  EXPECT_EQ(refused.error().message(), "fake gpu has no more memory: 6 MB more are needed, and 4 MB are free");
  EXPECT_EQ(unlimited->taken(), Bytes{60 * kMb});
  EXPECT_EQ(region->mapped(), Bytes{60 * kMb});
  EXPECT_TRUE(region->grow({64 * kMb}).ok());
}

TEST_F(DeviceRegionTest, IsBoundByItsAddresses) {
  const auto region = reserve(4 * kMb);
  const Status refused = region->grow({5 * kMb});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(refused.error().message(), "5 MB are needed where addresses for 4 MB are reserved");
  EXPECT_EQ(region->grow({~std::uint64_t{0}}).error().code(), ErrorCode::kResourceExhausted);
  EXPECT_FALSE(DeviceRegion::reserve(gpu_, {0}, budget_).ok());
  EXPECT_FALSE(DeviceRegion::reserve(gpu_, {~std::uint64_t{0}}, budget_).ok());
}

TEST_F(DeviceRegionTest, AFailureAnywhereLeavesTheRegionAsItWas) {
  const std::size_t before = cuda_.alive();
  for (const char* entry : {"cuMemCreate", "cuMemMap", "cuMemRelease", "cuMemSetAccess", "cuCtxPushCurrent"}) {
    const auto region = reserve(8 * kMb);
    ASSERT_TRUE(region->grow({2 * kMb}).ok());
    const std::size_t alive = cuda_.alive();
    cuda_.fail(entry, CUDA_ERROR_INVALID_VALUE);
    ASSERT_FALSE(region->grow({4 * kMb}).ok()) << entry;
    EXPECT_EQ(region->mapped(), Bytes{2 * kMb}) << entry;
    EXPECT_EQ(budget_->taken(), Bytes{2 * kMb}) << entry;
    if (std::string_view(entry) != "cuMemRelease") {
      EXPECT_EQ(cuda_.alive(), alive) << entry;
      EXPECT_TRUE(region->grow({4 * kMb}).ok()) << entry;
    }
  }
  EXPECT_EQ(cuda_.alive(), before + 1) << "but for what the driver itself did not release";
  for (const char* entry : {"cuMemGetAllocationGranularity", "cuMemAddressReserve", "cuCtxPushCurrent"}) {
    cuda_.fail(entry, CUDA_ERROR_OUT_OF_MEMORY);
    EXPECT_FALSE(DeviceRegion::reserve(gpu_, {kMb}, budget_).ok()) << entry;
  }
  EXPECT_EQ(cuda_.alive(), before + 1);
}

class RegionHeapTest : public DeviceRegionTest {
 protected:
  CUdeviceptr allocate(std::size_t size) {
    auto at = heap_.allocate(size);
    EXPECT_TRUE(at.ok());
    return *at;
  }

  const std::unique_ptr<DeviceRegion> region_ = reserve(64 * kMb);
  RegionHeap heap_{*region_};
};

TEST_F(RegionHeapTest, BlocksAreAlignedDisjointAndTheirOwn) {
  const CUdeviceptr none = allocate(0);
  const CUdeviceptr one = allocate(1);
  const CUdeviceptr more = allocate(257);
  EXPECT_EQ(none, region_->base());
  EXPECT_EQ(one, region_->base() + 256);
  EXPECT_EQ(more, region_->base() + 512);
  EXPECT_EQ(heap_.in_use(), Bytes{1024});
  EXPECT_EQ(region_->mapped(), Bytes{kStep});
}

TEST_F(RegionHeapTest, TheSmallestBlockThatSufficesIsUsed) {
  const CUdeviceptr large = allocate(4096);
  allocate(256);
  const CUdeviceptr small = allocate(1024);
  allocate(256);
  heap_.release(large);
  heap_.release(small);
  EXPECT_EQ(allocate(1000), small);
  EXPECT_EQ(allocate(1000), large);
  EXPECT_EQ(allocate(1024), large + 1024) << "what a block has over is used too";
}

TEST_F(RegionHeapTest, NeighboursJoinOnBothSides) {
  const CUdeviceptr first = allocate(1024);
  const CUdeviceptr second = allocate(1024);
  const CUdeviceptr third = allocate(1024);
  allocate(256);
  heap_.release(first);
  heap_.release(third);
  heap_.release(second);
  EXPECT_EQ(allocate(3072), first);
}

TEST_F(RegionHeapTest, GrowsByWhatIsMissingAtTheEnd) {
  const CUdeviceptr kept = allocate(kStep / 2);
  ASSERT_EQ(region_->mapped(), Bytes{kStep});
  EXPECT_EQ(allocate(kStep + kStep / 2), kept + kStep / 2) << "a free end is a part of the new block";
  EXPECT_EQ(region_->mapped(), Bytes{2 * kStep});
}

TEST_F(RegionHeapTest, KnowsWhatWasInUseAtMost) {
  const CUdeviceptr block = allocate(4096);
  heap_.release(block);
  allocate(1024);
  EXPECT_EQ(heap_.in_use(), Bytes{1024});
  EXPECT_EQ(heap_.peak(), Bytes{4096});
}

TEST_F(RegionHeapTest, WhatTheRegionRefusesIsRefusedAndHarmsNothing) {
  const CUdeviceptr block = allocate(30 * kMb);
  const auto refused = heap_.allocate(4 * kMb);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message(), "memory_limit_mb 32 is too little: 30 MB are taken, and 4 MB more are needed");
  EXPECT_EQ(heap_.allocate(~std::size_t{0}).error().code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(heap_.allocate(~std::size_t{0} - 1024).error().code(), ErrorCode::kResourceExhausted);
  heap_.release(block);
  EXPECT_EQ(allocate(31 * kMb), block);
}

TEST_F(RegionHeapTest, AtRandomBlocksStayDisjointAndEverythingJoinsInTheEnd) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  std::vector<std::pair<CUdeviceptr, std::size_t>> blocks;
  std::size_t in_use = 0;
  for (int i = 0; i < 2000; ++i) {
    if (blocks.size() < 40 && random() % 5 < 3) {
      const std::size_t size = 1 + random() % (random() % 4 == 0 ? 300'000 : 3000);
      const CUdeviceptr at = allocate(size);
      EXPECT_EQ(at % RegionHeap::kAlignment, 0U);
      for (const auto& [other, length] : blocks) {
        ASSERT_TRUE(at >= other + length || other >= at + size);
      }
      memory(at + size - 1)[0] = std::byte{1};  // it is mapped
      blocks.emplace_back(at, size);
    } else if (!blocks.empty()) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      heap_.release(blocks.back().first);
      blocks.pop_back();
    }
    in_use = 0;
    for (const auto& [at, size] : blocks) {
      in_use += (size + 255) / 256 * 256;
    }
    ASSERT_EQ(heap_.in_use(), Bytes{in_use});
  }
  for (const auto& [at, size] : blocks) {
    heap_.release(at);
  }
  EXPECT_EQ(heap_.in_use(), Bytes{0});
  EXPECT_EQ(allocate(region_->mapped().value), region_->base()) << "all of it is one block again";
}

}  // namespace
}  // namespace tessera::device
