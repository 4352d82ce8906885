#include "device/cuda/gpu.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <thread>
#include <vector>

#include "tests/support/cuda/fake_cuda.h"

namespace tessera::device {
namespace {

using test::FakeContext;
using test::FakeCuda;

std::shared_ptr<Gpu> open(int ordinal = 0) {
  auto gpu = Gpu::open(FakeCuda::table(), ordinal);
  EXPECT_TRUE(gpu.ok());
  return *std::move(gpu);
}

const test::Processors& processors_of(CUcontext context) { return reinterpret_cast<FakeContext*>(context)->processors; }

std::size_t processors(const Gpu& gpu) {
  std::size_t sum = 0;
  for (std::uint16_t atom = 0; atom < gpu.atoms(); ++atom) {
    sum += gpu.processors(atom);
  }
  return sum;
}

TEST(GpuTest, TheRestOfTheSplitIsTheLastAtom) {
  FakeCuda cuda({.processors = 132, .group = 8, .most_groups = 15});
  const auto gpu = open();
  EXPECT_EQ(gpu->atoms(), 16);
  EXPECT_EQ(gpu->processors(0), 8);
  EXPECT_EQ(gpu->processors(15), 12);
  EXPECT_EQ(processors(*gpu), 132U);
}

TEST(GpuTest, ARestThatIsTooSmallJoinsTheLastAtom) {
  FakeCuda cuda({.processors = 36, .group = 8});
  const auto gpu = open();
  EXPECT_EQ(gpu->atoms(), 4);
  EXPECT_EQ(gpu->processors(3), 12);
  EXPECT_EQ(processors_of(*gpu->context_of({3, 1}, Gpu::Use::kHome)).size(), 12U);
}

TEST(GpuTest, WhatCannotBeSplitIsOneAtom) {
  FakeCuda cuda({.processors = 6, .group = 8});
  const auto gpu = open();
  EXPECT_EQ(gpu->atoms(), 1);
  EXPECT_EQ(gpu->processors(0), 6);
  EXPECT_EQ(processors_of(*gpu->context_of({0, 1}, Gpu::Use::kHome)).size(), 6U);
}

TEST(GpuTest, WithoutARestAllAtomsAreAlike) {
  FakeCuda cuda({.processors = 32, .group = 8});
  EXPECT_EQ(open()->atoms(), 4);
}

TEST(GpuTest, AStreamInASliceRunsThereAndIsCounted) {
  FakeCuda cuda;
  const auto gpu = open();
  const auto stream = gpu->make_stream_in({1, 2}, Gpu::Use::kLoader);
  ASSERT_TRUE(stream.ok());
  const auto* const made = reinterpret_cast<test::FakeStream*>(stream->get());
  EXPECT_EQ(made->context, reinterpret_cast<FakeContext*>(*gpu->context_of({1, 2}, Gpu::Use::kLoader)));
  EXPECT_EQ(made->flags, unsigned{CU_STREAM_NON_BLOCKING});
  EXPECT_FALSE(gpu->make_streams(Gpu::kMaxStreams).ok());
  ASSERT_TRUE(gpu->make_streams(Gpu::kMaxStreams - 1).ok());
  EXPECT_EQ(gpu->make_stream_in({1, 2}, Gpu::Use::kLoader).error().code(), ErrorCode::kResourceExhausted);
}

TEST(GpuTest, SlicesAreUnionsOfAtomsOfOneSplit) {
  FakeCuda cuda;
  const auto gpu = open();
  const auto left = processors_of(*gpu->context_of({0, 2}, Gpu::Use::kHome));
  const auto right = processors_of(*gpu->context_of({2, 2}, Gpu::Use::kHome));
  EXPECT_EQ(left.size(), 16U);
  EXPECT_EQ(right.size(), 20U);
  EXPECT_TRUE(std::none_of(left.begin(), left.end(), [&](unsigned one) { return right.contains(one); }));
  EXPECT_EQ(processors_of(*gpu->context_of({0, 4}, Gpu::Use::kHome)).size(), 36U);
  EXPECT_EQ(cuda.count("cuDevSmResourceSplitByCount"), 2U) << "one to count, and the one";
}

TEST(GpuTest, AContextIsMadeOnceForEachUse) {
  FakeCuda cuda;
  const auto gpu = open();
  const CUcontext first = *gpu->context_of({0, 1}, Gpu::Use::kHome);
  EXPECT_EQ(*gpu->context_of({0, 1}, Gpu::Use::kHome), first);
  EXPECT_EQ(cuda.count("cuGreenCtxCreate"), 1U);
  EXPECT_NE(*gpu->context_of({0, 1}, Gpu::Use::kLoader), first);
}

TEST(GpuTest, StreamsDoNotBlockAndAreBounded) {
  FakeCuda cuda;
  const auto gpu = open();
  auto streams = gpu->make_streams(Gpu::kMaxStreams - 1);
  ASSERT_TRUE(streams.ok());
  for (const OwnedStream& stream : *streams) {
    EXPECT_EQ(reinterpret_cast<test::FakeStream*>(stream.get())->flags, unsigned{CU_STREAM_NON_BLOCKING});
  }
  const auto refused = gpu->make_streams(2);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_TRUE(gpu->make_streams(1).ok());
}

TEST(GpuTest, AddressesToAskForDoNotOverlap) {
  FakeCuda cuda;
  const auto gpu = open();
  constexpr std::uint64_t kCalls = 20'000;
  const auto bytes_of = [](std::uint64_t call) { return (call % 7 + 1) << 20; };
  std::array<std::vector<CUdeviceptr>, 4> given;
  std::vector<std::thread> threads;
  for (auto& mine : given) {
    threads.emplace_back([&] {
      for (std::uint64_t call = 0; call < kCalls; ++call) {
        mine.push_back(gpu->next_addresses(bytes_of(call)));
      }
    });
  }
  std::for_each(threads.begin(), threads.end(), [](std::thread& thread) { thread.join(); });
  std::map<CUdeviceptr, std::uint64_t> ranges;
  for (const auto& mine : given) {
    for (std::uint64_t call = 0; call < kCalls; ++call) {
      ASSERT_TRUE(ranges.emplace(mine[call], bytes_of(call)).second);
    }
  }
  CUdeviceptr end = std::uint64_t{1} << 40;  // below, two small numbers look like an address
  for (const auto& [begin, bytes] : ranges) {
    ASSERT_GE(begin, end);
    end = begin + bytes;
  }
}

TEST(GpuTest, EverythingIsGivenBack) {
  FakeCuda cuda;
  {
    const auto gpu = open();
    ASSERT_TRUE(gpu->context_of({0, 4}, Gpu::Use::kHome).ok());
    const auto streams = gpu->make_streams(3);
    ASSERT_TRUE(streams.ok());
    EXPECT_GT(cuda.alive(), 3U);
  }
  EXPECT_EQ(cuda.alive(), 0U);
}

TEST(GpuTest, WhatCannotBeOpenedIsSaid) {
  FakeCuda cuda;
  const auto beyond = Gpu::open(FakeCuda::table(), 1);
  EXPECT_EQ(beyond.error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(beyond.error().message(), "there is no gpu 1: this host has 1, counted from 0");
  EXPECT_EQ(Gpu::open(FakeCuda::table(), -1).error().code(), ErrorCode::kNotFound);
  for (const char* entry : {"cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute",
                            "cuDevicePrimaryCtxRetain", "cuDeviceGetDevResource", "cuDevSmResourceSplitByCount"}) {
    cuda.fail(entry, CUDA_ERROR_NOT_SUPPORTED);
    EXPECT_FALSE(Gpu::open(FakeCuda::table(), 0).ok()) << entry;
  }
  EXPECT_EQ(cuda.alive(), 0U);
}

TEST(GpuTest, SaysWhichMachineCodeItRuns) {
  for (const int architecture : {75, 90, 120}) {
    FakeCuda cuda({.architecture = architecture});
    EXPECT_EQ(open()->architecture(), architecture);
  }
}

TEST(GpuTest, AContextThatCannotBeMadeLeavesNothing) {
  FakeCuda cuda;
  const auto gpu = open();
  for (const char* entry : {"cuDevResourceGenerateDesc", "cuGreenCtxCreate", "cuCtxFromGreenCtx"}) {
    const std::size_t before = cuda.alive();
    cuda.fail(entry, CUDA_ERROR_OUT_OF_MEMORY);
    const auto made = gpu->context_of({0, 1}, Gpu::Use::kHome);
    ASSERT_FALSE(made.ok()) << entry;
    EXPECT_EQ(made.error().code(), ErrorCode::kOutOfMemory);
    EXPECT_EQ(cuda.alive(), before) << entry;
  }
  EXPECT_TRUE(gpu->context_of({0, 1}, Gpu::Use::kHome).ok());
}

TEST(CurrentContextTest, IsPushedWhereItIsNotCurrentAndTakenBack) {
  FakeCuda cuda;
  const Driver driver = FakeCuda::table();
  const auto gpu = open();
  const CUcontext other = *gpu->context_of({0, 1}, Gpu::Use::kLoader);
  CUcontext current = nullptr;
  ASSERT_EQ(driver.ctx_set_current(other), CUDA_SUCCESS);
  {
    const CurrentContext outer(*gpu);
    const CurrentContext inner(*gpu);
    EXPECT_EQ(driver.ctx_get_current(&current), CUDA_SUCCESS);
    EXPECT_EQ(current, gpu->context());
    EXPECT_EQ(cuda.count("cuCtxPushCurrent"), 1U);
  }
  EXPECT_EQ(driver.ctx_get_current(&current), CUDA_SUCCESS);
  EXPECT_EQ(current, other);
}

}  // namespace
}  // namespace tessera::device
