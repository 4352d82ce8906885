#include "device/cuda/homed_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "device/cuda/graph_audit.h"
#include "tests/support/cuda/fake_cuda.h"

namespace tessera::device {
namespace {

using test::FakeContext;
using test::FakeCuda;
using test::FakeGraph;
using test::FakeNode;

constexpr std::size_t kBytes = 64;

class HomedGraphTest : public testing::Test {
 protected:
  HomedGraphTest() {
    cuda_.add_kernel({.name = "plain", .arguments = {sizeof(int)}, .start = nullptr});
    cuda_.add_kernel({.name = "bound", .arguments = {}, .bound = true, .start = nullptr});
    gpu_ = *Gpu::open(driver_, 0);
    streams_ = *gpu_->make_streams(1);
    context_ = *gpu_->context_of({1, 2}, Gpu::Use::kHome);
    EXPECT_EQ(driver_.mem_alloc(&memory_, 2 * kBytes), CUDA_SUCCESS);
    EXPECT_EQ(driver_.mem_host_alloc(&pinned_, kBytes, 0), CUDA_SUCCESS);
  }

  CUstream stream() const { return streams_.front().get(); }
  CUresult launch(const char* kernel, CUstream on, int value = 0) {
    void* values[] = {&value};
    return driver_.launch_kernel(reinterpret_cast<CUfunction>(cuda_.kernel(kernel)), 4, 1, 1, 32, 1, 1, 0, on, values,
                                 nullptr);
  }
  OwnedGraph captured(const std::function<CUresult(CUstream)>& work) {
    auto graph = capture(*gpu_, stream(), [&](CUstream on) { return driver_.check(work(on), "queue"); });
    EXPECT_TRUE(graph.ok());
    return *std::move(graph);
  }
  // kernel -> memset -> copy -> kernel, and an edge from the first kernel to the copy that carries data.
  OwnedGraph source() {
    OwnedGraph graph = captured([&](CUstream on) {
      return std::max({launch("plain", on, 1), driver_.memset_d8_async(memory_, 7, kBytes, on),
                       driver_.memcpy_dtod_async(memory_ + kBytes, memory_, kBytes, on), launch("plain", on, 2)});
    });
    const auto& nodes = fake(graph).nodes;
    const auto from = reinterpret_cast<CUgraphNode>(nodes[0].get());
    const auto to = reinterpret_cast<CUgraphNode>(nodes[2].get());
    CUgraphEdgeData data{};
    data.from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC;
    data.type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC;
    EXPECT_EQ(driver_.graph_add_dependencies(graph.get(), &from, &to, &data, 1), CUDA_SUCCESS);
    return graph;
  }
  static FakeGraph& fake(const OwnedGraph& graph) { return *reinterpret_cast<FakeGraph*>(graph.get()); }
  static const FakeNode* find(const FakeGraph& graph, CUgraphNodeType type, std::size_t nth = 0) {
    for (const auto& node : graph.nodes) {
      if (node->type == type && nth-- == 0) {
        return node.get();
      }
    }
    return nullptr;
  }
  static const test::FakeEdge* edge(const FakeGraph& graph, const FakeNode* from, const FakeNode* to) {
    const auto found = std::find_if(graph.edges.begin(), graph.edges.end(),
                                    [&](const auto& one) { return one.from == from && one.to == to; });
    return found == graph.edges.end() ? nullptr : &*found;
  }

  FakeCuda cuda_;
  const Driver driver_ = FakeCuda::table();
  std::shared_ptr<Gpu> gpu_;
  std::vector<OwnedStream> streams_;
  CUcontext context_ = nullptr;
  CUdeviceptr memory_ = 0;
  void* pinned_ = nullptr;
};

TEST_F(HomedGraphTest, EveryNodeCarriesTheSlicesContext) {
  const OwnedGraph original = source();
  const auto homed = rehome(*gpu_, original.get(), context_);
  ASSERT_TRUE(homed.ok()) << homed.error().message();
  const FakeGraph& graph = fake(*homed);
  ASSERT_EQ(graph.nodes.size(), 4U);
  for (const auto& node : graph.nodes) {
    EXPECT_EQ(node->context, reinterpret_cast<FakeContext*>(context_)) << node->type;
  }
  for (const auto& node : fake(original).nodes) {
    EXPECT_EQ(node->context, reinterpret_cast<FakeContext*>(gpu_->context())) << "the source stays as it is";
  }
}

TEST_F(HomedGraphTest, NodesKeepWhatTheyDoAndTheirPlace) {
  const OwnedGraph original = source();
  const auto homed = rehome(*gpu_, original.get(), context_);
  ASSERT_TRUE(homed.ok());
  const FakeGraph& graph = fake(*homed);
  const FakeNode* first = find(graph, CU_GRAPH_NODE_TYPE_KERNEL, 0);
  const FakeNode* last = find(graph, CU_GRAPH_NODE_TYPE_KERNEL, 1);
  const FakeNode* memset = find(graph, CU_GRAPH_NODE_TYPE_MEMSET);
  const FakeNode* copy = find(graph, CU_GRAPH_NODE_TYPE_MEMCPY);
  ASSERT_TRUE(first != nullptr && last != nullptr && memset != nullptr && copy != nullptr);
  EXPECT_EQ(*static_cast<int*>(first->addresses[0]), 1);
  EXPECT_EQ(*static_cast<int*>(last->addresses[0]), 2);
  EXPECT_EQ(memset->memset.dst, memory_);
  EXPECT_EQ(memset->memset.value, 7U);
  EXPECT_EQ(memset->memset.width, kBytes);
  EXPECT_EQ(copy->copy.dstDevice, memory_ + kBytes);
  EXPECT_EQ(copy->copy.WidthInBytes, kBytes);
  EXPECT_EQ(graph.edges.size(), 4U);
  EXPECT_NE(edge(graph, first, memset), nullptr);
  EXPECT_NE(edge(graph, memset, copy), nullptr);
  EXPECT_NE(edge(graph, copy, last), nullptr);
  const test::FakeEdge* across = edge(graph, first, copy);
  ASSERT_NE(across, nullptr);
  EXPECT_EQ(across->data.from_port, CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC);
  EXPECT_EQ(across->data.type, CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC);
  EXPECT_EQ(edge(graph, memset, copy)->data.type, 0);
}

TEST_F(HomedGraphTest, IsUploadedAndRunsWithTheValuesOfTheMomentOfLaunch) {
  const OwnedGraph original = source();
  auto homed = HomedGraph::make(*gpu_, original.get(), context_, stream());
  ASSERT_TRUE(homed.ok()) << homed.error().message();
  EXPECT_TRUE(reinterpret_cast<test::FakeExec*>(homed->exec())->uploaded);
  const auto node = reinterpret_cast<CUgraphNode>(fake(original).nodes.back().get());
  const auto kernel = homed->kernel_of(node);
  ASSERT_TRUE(kernel.ok());
  int value = 5;
  void* values[] = {&value};
  ASSERT_TRUE(homed->set_arguments(*kernel, values).ok());
  const auto& order = reinterpret_cast<test::FakeExec*>(homed->exec())->order;
  EXPECT_EQ(*static_cast<int*>(order.back()->addresses[0]), 5);
  EXPECT_EQ(order.back()->context, reinterpret_cast<FakeContext*>(context_)) << "new values must not un-home a node";
  ASSERT_TRUE(homed->launch(stream()).ok());
  ASSERT_EQ(driver_.stream_synchronize(stream()), CUDA_SUCCESS);
  EXPECT_EQ(*reinterpret_cast<const unsigned char*>(memory_ + kBytes), 7);
}

TEST_F(HomedGraphTest, AFailureAnywhereLeavesNothingBehind) {
  const OwnedGraph original = source();
  for (const char* entry :
       {"cuGraphClone", "cuGraphGetNodes", "cuGraphNodeGetType", "cuGraphKernelNodeGetParams",
        "cuGraphKernelNodeSetParams", "cuGraphMemsetNodeGetParams", "cuGraphMemcpyNodeGetParams",
        "cuGraphNodeGetDependencies", "cuGraphNodeGetDependentNodes", "cuGraphDestroyNode", "cuGraphAddMemsetNode",
        "cuGraphAddMemcpyNode", "cuGraphAddDependencies", "cuGraphInstantiateWithFlags", "cuGraphUpload",
        "cuStreamSynchronize", "cuCtxPushCurrent"}) {
    const std::size_t before = cuda_.alive();
    cuda_.fail(entry, CUDA_ERROR_OUT_OF_MEMORY);
    const auto homed = HomedGraph::make(*gpu_, original.get(), context_, stream());
    ASSERT_FALSE(homed.ok()) << entry;
    EXPECT_EQ(homed.error().code(), ErrorCode::kOutOfMemory) << entry;
    EXPECT_EQ(cuda_.alive(), before) << entry;
  }
}

TEST_F(HomedGraphTest, ASliceThatCannotHoldAClusterIsUnsupported) {
  const OwnedGraph original = source();
  const std::size_t before = cuda_.alive();
  cuda_.fail("cuGraphInstantiateWithFlags", CUDA_ERROR_INVALID_CLUSTER_SIZE);
  const auto homed = HomedGraph::make(*gpu_, original.get(), context_, stream());
  ASSERT_FALSE(homed.ok());
  EXPECT_EQ(homed.error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(homed.error().message(), "a kernel's cluster of blocks does not fit the slice's processors");
  EXPECT_EQ(cuda_.alive(), before);
  EXPECT_TRUE(HomedGraph::make(*gpu_, original.get(), context_, stream()).ok());
}

TEST_F(HomedGraphTest, ACaptureEndsAlsoWhenItsWorkFails) {
  const auto failed = capture(*gpu_, stream(), [](CUstream) -> Status { return internal_error("no"); });
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message(), "no");
  EXPECT_EQ(cuda_.count("cuStreamEndCapture"), 1U);
  EXPECT_EQ(cuda_.count("cuGraphDestroy"), 1U);
}

// ---- The audit

TEST_F(HomedGraphTest, TheAuditCountsWhatCanBeHomed) {
  const OwnedGraph original = source();
  const auto found = audit(*gpu_, original.get(), 8);
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(found->kernels, 2U);
  EXPECT_EQ(found->memsets, 1U);
  EXPECT_EQ(found->copies, 1U);
}

TEST_F(HomedGraphTest, TheAuditRefusesCopiesOfTheHostsMemory) {
  const auto host = reinterpret_cast<CUdeviceptr>(pinned_);
  int unknown = 0;
  for (const CUdeviceptr from : {host, reinterpret_cast<CUdeviceptr>(&unknown)}) {
    const OwnedGraph graph = captured([&](CUstream on) { return driver_.memcpy_dtod_async(memory_, from, 4, on); });
    const auto found = audit(*gpu_, graph.get(), 8);
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.error().code(), ErrorCode::kUnsupported);
    EXPECT_NE(found.error().message().find("host's memory"), std::string::npos);
  }
}

TEST_F(HomedGraphTest, TheAuditRefusesKernelsThatBelongToAContext) {
  const OwnedGraph graph = captured([&](CUstream on) { return launch("bound", on); });
  const auto found = audit(*gpu_, graph.get(), 8);
  ASSERT_FALSE(found.ok());
  EXPECT_NE(found.error().message().find("bound to a context"), std::string::npos);
}

TEST_F(HomedGraphTest, TheAuditRefusesCooperativeKernelsThatDoNotFit) {
  const OwnedGraph graph = captured([&](CUstream on) { return launch("plain", on); });
  FakeNode& node = *fake(graph).nodes.front();
  node.cooperative = true;
  node.launch.gridDimX = 64;  // eight fit on a processor
  EXPECT_TRUE(audit(*gpu_, graph.get(), 8).ok());
  EXPECT_FALSE(audit(*gpu_, graph.get(), 7).ok());
}

TEST_F(HomedGraphTest, TheAuditAndTheHomingRefuseOtherNodes) {
  const OwnedGraph graph = captured([&](CUstream on) { return launch("plain", on); });
  for (const CUgraphNodeType type :
       {CU_GRAPH_NODE_TYPE_HOST, CU_GRAPH_NODE_TYPE_GRAPH, CU_GRAPH_NODE_TYPE_MEM_ALLOC, CU_GRAPH_NODE_TYPE_CONDITIONAL,
        CU_GRAPH_NODE_TYPE_EVENT_RECORD, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP}) {
    fake(graph).nodes.front()->type = type;
    EXPECT_EQ(audit(*gpu_, graph.get(), 8).error().code(), ErrorCode::kUnsupported) << type;
    EXPECT_EQ(rehome(*gpu_, graph.get(), context_).error().code(), ErrorCode::kUnsupported) << type;
  }
  fake(graph).nodes.front()->type = CU_GRAPH_NODE_TYPE_EMPTY;
  EXPECT_TRUE(audit(*gpu_, graph.get(), 8).ok());
  EXPECT_TRUE(rehome(*gpu_, graph.get(), context_).ok());
}

}  // namespace
}  // namespace tessera::device
