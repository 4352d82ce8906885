#include "device/cuda/pointer_audit.h"

#include <array>

#include "tests/unit/device/cuda/graph_fixture.h"

namespace tessera::device {
namespace {

constexpr CUdeviceptr kBegin = 0x700000000000;
constexpr CUdeviceptr kEnd = kBegin + 0x1000;

class PointerAuditTest : public test::GraphFixture {
 protected:
  Result<std::size_t> check(const OwnedGraph& graph) const { return check_pointers(*gpu_, graph.get(), foreign_); }
  // What check says of a graph; empty where nothing.
  std::string finding(const OwnedGraph& graph) const {
    const auto checked = check(graph);
    if (checked.ok()) {
      return "";
    }
    EXPECT_EQ(checked.error().code(), ErrorCode::kUnsupported);
    return checked.error().message();
  }
  OwnedGraph kernel(std::vector<std::size_t> sizes, std::vector<void*> values, std::size_t alignment = 8) {
    auto* const made =
        cuda_.add_kernel({.name = "work", .arguments = std::move(sizes), .start = nullptr, .alignment = alignment});
    return captured([&](CUstream on) { return launch(made, on, values); });
  }
  OwnedGraph memset(CUdeviceptr at) const {
    return captured([&](CUstream on) { return driver_.memset_d8_async(at, 0, 8, on); });
  }

  const std::vector<NamedRange> foreign_{{0x10, 0x20, "lane 1"}, {kBegin, kEnd, "the weights"}};
  const std::string words_ = "it reads or writes the weights, which is not its own";
};

TEST_F(PointerAuditTest, EveryArgumentIsLookedAt) {
  std::uint64_t own = 0x1234;
  int number = 0x10;  // of 4 bytes: no address
  CUdeviceptr other = kBegin + 8;
  EXPECT_EQ(finding(kernel({8, 4, 8}, {&own, &number, &other})), "kernel work: argument 2: byte 0 of 8: " + words_);
  EXPECT_EQ(*check(kernel({8, 4, 8}, {&own, &number, &own})), 2U);
  EXPECT_EQ(*check(kernel({}, {})), 0U);
}

TEST_F(PointerAuditTest, AnAddressWithinAStructureIsFound) {
  std::array<std::uint64_t, 3> words{1, 2, kBegin};
  EXPECT_EQ(finding(kernel({24}, {words.data()})), "kernel work: argument 0: byte 16 of 24: " + words_);
}

TEST_F(PointerAuditTest, AddressesAreWhereTheyAreAlignedAmongAllArguments) {
  int number = 0;
  std::array<std::uint32_t, 3> halves{0, 0, 0x7000};  // at offset 4: the last two are one word
  EXPECT_EQ(finding(kernel({4, 12}, {&number, halves.data()}, 4)), "kernel work: argument 1: byte 4 of 12: " + words_);
  halves = {0, 0x7000, 0};  // the first two are not
  EXPECT_EQ(finding(kernel({4, 12}, {&number, halves.data()}, 4)), "");
}

TEST_F(PointerAuditTest, ArgumentsInOneBufferAreLookedAt) {
  const OwnedGraph graph = kernel({}, {});
  std::array<std::uint64_t, 2> buffer{1, kEnd - 1};
  std::size_t size = sizeof(buffer);
  std::array<void*, 5> extra{CU_LAUNCH_PARAM_BUFFER_POINTER, buffer.data(), CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
                             CU_LAUNCH_PARAM_END};
  fake(graph).nodes.front()->launch.extra = extra.data();
  EXPECT_EQ(finding(graph), "kernel work: byte 8 of 16: " + words_);
  size = sizeof(buffer[0]);
  EXPECT_EQ(*check(graph), 1U);
}

TEST_F(PointerAuditTest, AKernelOfAModuleHasNoName) {
  CUdeviceptr other = 0x10;
  auto* const bound = cuda_.add_kernel({.name = "bound", .arguments = {8}, .bound = true, .start = nullptr});
  EXPECT_EQ(finding(captured([&](CUstream on) { return launch(bound, on, {&other}); })),
            "a kernel: argument 0: byte 0 of 8: it reads or writes lane 1, which is not its own");
}

TEST_F(PointerAuditTest, MemsetsAndBothEndsOfCopiesAreLookedAt) {
  const auto copy = [&](CUdeviceptr to, CUdeviceptr from) {
    return captured([&](CUstream on) { return driver_.memcpy_dtod_async(to, from, 8, on); });
  };
  EXPECT_EQ(finding(memset(kBegin)), words_);
  EXPECT_EQ(finding(copy(kBegin, memory_)), words_);
  EXPECT_EQ(finding(copy(memory_, kBegin)), words_);
  EXPECT_EQ(*check(memset(memory_)), 1U);
  EXPECT_EQ(*check(copy(memory_, memory_ + 8)), 2U);
}

TEST_F(PointerAuditTest, ARangeEndsBeforeItsEnd) {
  EXPECT_EQ(finding(memset(kBegin - 1)), "");
  EXPECT_EQ(finding(memset(kBegin)), words_);
  EXPECT_EQ(finding(memset(kEnd - 1)), words_);
  EXPECT_EQ(finding(memset(kEnd)), "");
}

TEST_F(PointerAuditTest, NodesAfterTheFirstAreLookedAt) {
  EXPECT_EQ(finding(captured([&](CUstream on) {
              return std::max(driver_.memset_d8_async(memory_, 0, 8, on), driver_.memset_d8_async(kBegin, 0, 8, on));
            })),
            words_);
}

TEST_F(PointerAuditTest, WhatTheDriverDoesNotTellIsAnError) {
  std::uint64_t own = 0;
  for (const char* entry :
       {"cuGraphGetNodes", "cuGraphNodeGetType", "cuGraphKernelNodeGetParams", "cuKernelGetParamInfo"}) {
    const OwnedGraph graph = kernel({8}, {&own});
    cuda_.fail(entry, CUDA_ERROR_OUT_OF_MEMORY);
    const auto checked = check(graph);
    ASSERT_FALSE(checked.ok()) << entry;
    EXPECT_EQ(checked.error().code(), ErrorCode::kOutOfMemory) << entry;
  }
}

}  // namespace
}  // namespace tessera::device
