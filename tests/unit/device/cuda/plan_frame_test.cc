#include "device/cuda/plan_frame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "device/cuda/graph_audit.h"
#include "device/cuda/homed_graph.h"
#include "tests/support/cuda/fake_cuda.h"
#include "tests/support/cuda/fake_plan_kernels.h"

namespace tessera::device {
namespace {

using test::FakeContext;
using test::FakeCuda;
using test::FakeGraph;
using test::FakeNode;

CUdeviceptr address(const void* at) { return reinterpret_cast<CUdeviceptr>(at); }

class PlanFrameTest : public testing::Test {
 protected:
  PlanFrameTest() {
    test::add_plan_kernels(cuda_);
    cuda_.add_kernel({.name = "work", .arguments = {sizeof(int)}, .start = nullptr});
    gpu_ = *Gpu::open(driver_, 0);
    streams_ = *gpu_->make_streams(1);
    kernels_ = *PlanKernels::load(gpu_);
    EXPECT_EQ(driver_.ctx_set_current(gpu_->context()), CUDA_SUCCESS);
  }

  CUstream stream() const { return streams_.front().get(); }
  // Two kernels, one after the other.
  OwnedGraph chain() {
    int value = 1;
    void* values[] = {&value};
    auto graph = capture(*gpu_, stream(), [&](CUstream on) {
      for (int i = 0; i < 2; ++i) {
        const CUresult launched = driver_.launch_kernel(reinterpret_cast<CUfunction>(cuda_.kernel("work")), 1, 1, 1, 1,
                                                        1, 1, 0, on, values, nullptr);
        EXPECT_EQ(launched, CUDA_SUCCESS);
      }
      return ok_status();
    });
    EXPECT_TRUE(graph.ok());
    return *std::move(graph);
  }
  // Nodes without edges: each is a root and a leaf.
  OwnedGraph apart() {
    OwnedGraph graph = chain();
    fake(graph).edges.clear();
    return graph;
  }
  Status frame(const OwnedGraph& graph, Bytes gathered = {1}, Bytes scattered = {1}) {
    return kernels_->frame(graph.get(), address(control_.data()), address(scratch_.data()), gathered, scattered);
  }
  static FakeGraph& fake(const OwnedGraph& graph) { return *reinterpret_cast<FakeGraph*>(graph.get()); }
  static const FakeNode* find(const OwnedGraph& graph, const char* kernel) {
    for (const auto& node : fake(graph).nodes) {
      if (node->kernel != nullptr && node->kernel->name == kernel) {
        return node.get();
      }
    }
    return nullptr;
  }
  static std::size_t edges(const OwnedGraph& graph, const FakeNode* from, const FakeNode* to) {
    return static_cast<std::size_t>(std::count_if(
        fake(graph).edges.begin(), fake(graph).edges.end(),
        [&](const auto& one) { return (from == nullptr || one.from == from) && (to == nullptr || one.to == to); }));
  }
  void run(const HomedGraph& graph) {
    ASSERT_TRUE(graph.launch(stream()).ok());
    ASSERT_EQ(driver_.stream_synchronize(stream()), CUDA_SUCCESS);
  }

  FakeCuda cuda_;
  const Driver driver_ = FakeCuda::table();
  std::shared_ptr<Gpu> gpu_;
  std::vector<OwnedStream> streams_;
  std::shared_ptr<const PlanKernels> kernels_;
  alignas(16) std::array<std::byte, 4096> control_{};
  alignas(kFrameBytes) std::array<std::byte, kFrameBytes> scratch_{};
};

TEST_F(PlanFrameTest, ItsNodesComeBeforeAndAfterAllOthers) {
  const OwnedGraph graph = chain();
  const FakeNode* const root = fake(graph).nodes.front().get();
  const FakeNode* const leaf = fake(graph).nodes.back().get();
  ASSERT_TRUE(frame(graph).ok());
  const FakeNode* const gather = find(graph, "plan_gather");
  const FakeNode* const scatter = find(graph, "plan_scatter");
  ASSERT_TRUE(gather != nullptr && scatter != nullptr);
  EXPECT_EQ(fake(graph).nodes.size(), 4U);
  EXPECT_EQ(edges(graph, gather, root), 1U);
  EXPECT_EQ(edges(graph, gather, nullptr), 1U);
  EXPECT_EQ(edges(graph, nullptr, gather), 0U);
  EXPECT_EQ(edges(graph, leaf, scatter), 1U);
  EXPECT_EQ(edges(graph, nullptr, scatter), 1U);
  EXPECT_EQ(edges(graph, scatter, nullptr), 0U);
  for (const FakeNode* node : {gather, scatter}) {
    EXPECT_EQ(*static_cast<CUdeviceptr*>(node->addresses[0]), address(control_.data()));
    EXPECT_EQ(*static_cast<CUdeviceptr*>(node->addresses[1]), address(scratch_.data()));
    EXPECT_EQ(node->context, reinterpret_cast<FakeContext*>(gpu_->context()));
  }
}

TEST_F(PlanFrameTest, EveryRootAndEveryLeafIsLinked) {
  const OwnedGraph graph = apart();
  const FakeNode* const one = fake(graph).nodes.front().get();
  const FakeNode* const other = fake(graph).nodes.back().get();
  ASSERT_TRUE(frame(graph).ok());
  for (const FakeNode* node : {one, other}) {
    EXPECT_EQ(edges(graph, find(graph, "plan_gather"), node), 1U);
    EXPECT_EQ(edges(graph, node, find(graph, "plan_scatter")), 1U);
  }
  EXPECT_EQ(fake(graph).edges.size(), 4U);
}

TEST_F(PlanFrameTest, AnEmptyGraphGathersThenScatters) {
  const OwnedGraph graph = chain();
  fake(graph).nodes.clear();
  fake(graph).edges.clear();
  ASSERT_TRUE(frame(graph).ok());
  EXPECT_EQ(edges(graph, find(graph, "plan_gather"), find(graph, "plan_scatter")), 1U);
}

TEST_F(PlanFrameTest, HasBlocksForWhatItMovesAndNeverTooMany) {
  for (const auto& [bytes, blocks] : std::vector<std::pair<std::uint64_t, unsigned>>{
           {0, 1}, {1, 1}, {8192, 1}, {8193, 2}, {602'112, 64}, {1 << 30, 64}}) {
    const OwnedGraph graph = chain();
    ASSERT_TRUE(frame(graph, {bytes}, {1}).ok());
    EXPECT_EQ(find(graph, "plan_gather")->launch.gridDimX, blocks) << bytes;
    EXPECT_EQ(find(graph, "plan_scatter")->launch.gridDimX, 1U);
    const OwnedGraph other = chain();
    ASSERT_TRUE(frame(other, {1}, {bytes}).ok());
    EXPECT_EQ(find(other, "plan_scatter")->launch.gridDimX, blocks) << bytes;
  }
}

TEST_F(PlanFrameTest, EveryLaunchMovesWhatTheControlBlockSaysThen) {
  const OwnedGraph graph = chain();
  ASSERT_TRUE(frame(graph).ok());
  const auto homed = HomedGraph::make(*gpu_, graph.get(), *gpu_->context_of({1, 2}, Gpu::Use::kHome), stream());
  ASSERT_TRUE(homed.ok()) << homed.error().message();
  const std::vector<float> floats{1, -2.5F, 65504, 1e-8F};
  const std::vector<std::uint8_t> bytes{0, 1, 255};
  std::array<std::uint16_t, 8> input{1, 1, 1, 1, 1, 1, 1, 9};
  std::array<std::uint16_t, 8> output{};
  std::uint32_t end = 0;
  const std::vector<Move> gathers{{address(floats.data()), address(input.data()), 8, kFp32ToFp16},
                                  {address(bytes.data()), address(input.data() + 4), 6, kUint8ToFp16}};
  const std::vector<Move> scatters{{address(input.data()), address(output.data()), 16, kCopy}};
  write_control(control_.data(), address(&end), 7, gathers, scatters);
  run(*homed);
  const std::array<std::uint16_t, 8> expected{0x3c00, 0xc100, 0x7bff, 0, 0, 0x3c00, 0x5bf8, 9};
  EXPECT_EQ(input, expected);
  EXPECT_EQ(output, expected);
  EXPECT_EQ(end, 7U);
  const std::vector<Move> zeros{{0, address(input.data()), 15, kCopy}};
  write_control(control_.data(), 0, 8, zeros, {});
  run(*homed);
  EXPECT_EQ(input, (std::array<std::uint16_t, 8>{0, 0, 0, 0, 0, 0, 0, 0})) << "9 is less than a byte";
  EXPECT_EQ(output, expected);
  EXPECT_EQ(end, 7U) << "no word, none written";
  EXPECT_EQ(cuda_.count("cuGraphExecKernelNodeSetParams"), 0U);
}

TEST_F(PlanFrameTest, TellsWhenItRanWhereItIsAsked) {
  const OwnedGraph graph = chain();
  ASSERT_TRUE(frame(graph).ok());
  const auto homed = HomedGraph::make(*gpu_, graph.get(), *gpu_->context_of({1, 2}, Gpu::Use::kHome), stream());
  ASSERT_TRUE(homed.ok()) << homed.error().message();
  CardTimes times{};
  std::uint32_t end = 0;
  write_control(control_.data(), address(&end), 7, {}, {}, address(&times));
  run(*homed);
  EXPECT_GT(times.begun_ns, 0U);
  EXPECT_GE(times.ended_ns, times.begun_ns);
  times = {};
  write_control(control_.data(), address(&end), 8, {}, {});
  run(*homed);
  EXPECT_EQ(end, 8U);
  EXPECT_EQ(times.begun_ns + times.ended_ns, 0U) << "nobody asks";
}

TEST_F(PlanFrameTest, AFramedGraphPassesTheAuditAndKeepsToItsSlice) {
  const OwnedGraph graph = chain();
  ASSERT_TRUE(frame(graph).ok());
  const auto found = audit(*gpu_, graph.get(), 8);
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(found->kernels, 4U);
  const CUcontext context = *gpu_->context_of({1, 2}, Gpu::Use::kHome);
  const auto homed = rehome(*gpu_, graph.get(), context);
  ASSERT_TRUE(homed.ok());
  for (const auto& node : fake(*homed).nodes) {
    EXPECT_EQ(node->context, reinterpret_cast<FakeContext*>(context));
  }
}

TEST_F(PlanFrameTest, AControlBlockHasRoomForWhatIsReadAtOnce) {
  EXPECT_EQ(control_size(0), control_size(kMovesAtOnce));
  EXPECT_EQ(control_size(kMovesAtOnce), 512U);
  EXPECT_EQ(control_size(100), sizeof(FrameHeader) + 100 * sizeof(Move));
}

TEST_F(PlanFrameTest, KernelsAreLoadedWholeAndGivenBack) {
  EXPECT_EQ(cuda_.count("cuFuncLoad"), 2U);
  kernels_.reset();
  EXPECT_EQ(cuda_.count("cuLibraryUnload"), 1U);
  for (const char* entry : {"cuLibraryLoadData", "cuLibraryGetKernel", "cuKernelGetFunction", "cuFuncLoad"}) {
    const std::size_t before = cuda_.alive();
    cuda_.fail(entry, CUDA_ERROR_OUT_OF_MEMORY, entry == std::string_view("cuFuncLoad") ? 1 : 0);
    const auto failed = PlanKernels::load(gpu_);
    ASSERT_FALSE(failed.ok()) << entry;
    EXPECT_EQ(failed.error().code(), ErrorCode::kOutOfMemory);
    EXPECT_EQ(cuda_.alive(), before) << entry;
  }
}

TEST_F(PlanFrameTest, ErrorsOfTheDriverAreTold) {
  for (const char* entry : {"cuGraphGetRootNodes", "cuGraphGetNodes", "cuGraphNodeGetDependentNodes",
                            "cuGraphAddKernelNode", "cuGraphAddDependencies"}) {
    const OwnedGraph graph = chain();
    cuda_.fail(entry, CUDA_ERROR_OUT_OF_MEMORY);
    EXPECT_EQ(frame(graph).error().code(), ErrorCode::kOutOfMemory) << entry;
  }
}

TEST(HalfTest, IsRoundedAsTheCardDoes) {
  EXPECT_EQ(test::half_of(0), 0);
  EXPECT_EQ(test::half_of(-0.0F), 0x8000);
  EXPECT_EQ(test::half_of(1), 0x3c00);
  EXPECT_EQ(test::half_of(65504), 0x7bff);
  EXPECT_EQ(test::half_of(65519.99F), 0x7bff);
  EXPECT_EQ(test::half_of(65520), 0x7c00);
  EXPECT_EQ(test::half_of(0x1p-14F), 0x0400);
  EXPECT_EQ(test::half_of(0x1p-24F), 0x0001);
  EXPECT_EQ(test::half_of(0x1p-25F), 0) << "a tie, to even";
  EXPECT_EQ(test::half_of(0x1.8p-24F), 0x0002) << "a tie, to even";
  EXPECT_EQ(test::half_of(1 + 0x1p-11F), 0x3c00);
  EXPECT_EQ(test::half_of(1 + 0x1.8p-10F), 0x3c02);
  EXPECT_EQ(test::half_of(1.9999F), 0x4000);
}

}  // namespace
}  // namespace tessera::device
