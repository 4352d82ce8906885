#include "device/cuda/graph_edit.h"

#include <array>

#include "tests/unit/device/cuda/graph_fixture.h"

namespace tessera::device {
namespace {

class GraphEditTest : public test::GraphFixture {
 protected:
  // Two memsets before one in the middle, two after it; each edge carries another port, and one goes past the middle.
  OwnedGraph crossing() {
    OwnedGraph graph = captured([&](CUstream on) {
      CUresult queued = CUDA_SUCCESS;
      for (unsigned char value = 0; value < 5; ++value) {
        queued = std::max(queued, driver_.memset_d8_async(memory_, value, kBytes, on));
      }
      return queued;
    });
    fake(graph).edges.clear();
    link(graph, 0, 2, 1);
    link(graph, 1, 2, 2);
    link(graph, 2, 3, 3);
    link(graph, 2, 4, 4);
    link(graph, 0, 4, 5);
    return graph;
  }
  static void link(const OwnedGraph& graph, std::size_t from, std::size_t to, unsigned char port) {
    const auto& nodes = fake(graph).nodes;
    CUgraphEdgeData data{};
    data.from_port = port;
    data.type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC;
    fake(graph).edges.push_back({nodes[from].get(), nodes[to].get(), data});
  }
  Status replace(const OwnedGraph& graph, CUgraphNode node, unsigned value) {
    CUDA_MEMSET_NODE_PARAMS params{};
    params.dst = memory_;
    params.value = value;
    return replace_node(driver_, graph.get(), node, [&, params](CUgraphNode* added) {
      return driver_.graph_add_memset_node(added, graph.get(), nullptr, 0, &params, gpu_->context());
    });
  }
  // By the value that each sets: from, to, port; where the edge is of the kind that was made.
  static std::vector<std::array<unsigned, 3>> edges(const OwnedGraph& graph) {
    std::vector<std::array<unsigned, 3>> found;
    for (const auto& edge : fake(graph).edges) {
      EXPECT_EQ(edge.data.type, CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC);
      found.push_back({edge.from->memset.value, edge.to->memset.value, edge.data.from_port});
    }
    std::sort(found.begin(), found.end());
    return found;
  }
};

TEST_F(GraphEditTest, ANodesPlaceIsTakenWithAllThatItsEdgesCarry) {
  const OwnedGraph graph = crossing();
  ASSERT_TRUE(replace(graph, handle(fake(graph).nodes[2].get()), 9).ok());
  const std::vector<std::array<unsigned, 3>> expected{{0, 4, 5}, {0, 9, 1}, {1, 9, 2}, {9, 3, 3}, {9, 4, 4}};
  EXPECT_EQ(edges(graph), expected);
  EXPECT_EQ(fake(graph).nodes.size(), 5U);
}

TEST_F(GraphEditTest, ANodeWithoutEdgesIsReplacedToo) {
  const OwnedGraph graph = captured([&](CUstream on) { return driver_.memset_d8_async(memory_, 1, kBytes, on); });
  ASSERT_TRUE(replace(graph, handle(fake(graph).nodes[0].get()), 9).ok());
  ASSERT_EQ(fake(graph).nodes.size(), 1U);
  EXPECT_EQ(fake(graph).nodes[0]->memset.value, 9U);
}

TEST_F(GraphEditTest, WhatFailsIsSaid) {
  for (const char* entry : {"cuGraphNodeGetDependencies", "cuGraphNodeGetDependentNodes", "cuGraphDestroyNode",
                            "cuGraphAddMemsetNode", "cuGraphAddDependencies"}) {
    const OwnedGraph graph = crossing();
    cuda_.fail(entry, CUDA_ERROR_OUT_OF_MEMORY);
    const Status replaced = replace(graph, handle(fake(graph).nodes[2].get()), 9);
    ASSERT_FALSE(replaced.ok()) << entry;
    EXPECT_EQ(replaced.error().code(), ErrorCode::kOutOfMemory) << entry;
  }
}

TEST_F(GraphEditTest, AllNodesAreListed) {
  const OwnedGraph graph = crossing();
  const auto nodes = nodes_of(driver_, graph.get());
  ASSERT_TRUE(nodes.ok());
  ASSERT_EQ(nodes->size(), 5U);
  for (std::size_t i = 0; i < nodes->size(); ++i) {
    EXPECT_EQ((*nodes)[i], handle(fake(graph).nodes[i].get()));
  }
  const OwnedGraph empty = captured([](CUstream) { return CUDA_SUCCESS; });
  EXPECT_TRUE(nodes_of(driver_, empty.get())->empty());
}

}  // namespace
}  // namespace tessera::device
