#include "device/cuda/graph_edit.h"

#include <cstddef>

namespace tessera::device {
namespace {

// The nodes at one side of a node, with what their edges carry.
struct Neighbours {
  std::vector<CUgraphNode> nodes;
  std::vector<CUgraphEdgeData> edges;
};

using ListNeighbours = decltype(Driver::graph_node_get_dependencies);

Result<Neighbours> neighbours(const Driver& driver, ListNeighbours list, CUgraphNode node) {
  std::size_t count = 0;
  TESSERA_RETURN_IF_ERROR(driver.check(list(node, nullptr, nullptr, &count), "count a node's edges"));
  Neighbours found{std::vector<CUgraphNode>(count), std::vector<CUgraphEdgeData>(count)};
  if (count > 0) {
    TESSERA_RETURN_IF_ERROR(
        driver.check(list(node, found.nodes.data(), found.edges.data(), &count), "list a node's edges"));
  }
  return found;
}

Status link(const Driver& driver, CUgraph graph, const std::vector<CUgraphNode>& from,
            const std::vector<CUgraphNode>& to, const std::vector<CUgraphEdgeData>& edges) {
  if (from.empty()) {
    return ok_status();
  }
  return driver.check(driver.graph_add_dependencies(graph, from.data(), to.data(), edges.data(), from.size()),
                      "link a node");
}

}  // namespace

Result<std::vector<CUgraphNode>> nodes_of(const Driver& driver, CUgraph graph) {
  std::size_t count = 0;
  TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_get_nodes(graph, nullptr, &count), "count a graph's nodes"));
  std::vector<CUgraphNode> nodes(count);
  if (count > 0) {
    TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_get_nodes(graph, nodes.data(), &count), "list a graph's nodes"));
  }
  return nodes;
}

Status replace_node(const Driver& driver, CUgraph graph, CUgraphNode node,
                    const std::function<CUresult(CUgraphNode*)>& add) {
  TESSERA_ASSIGN_OR_RETURN(const Neighbours before, neighbours(driver, driver.graph_node_get_dependencies, node));
  TESSERA_ASSIGN_OR_RETURN(const Neighbours after, neighbours(driver, driver.graph_node_get_dependents, node));
  TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_destroy_node(node), "take out a node"));
  CUgraphNode added = nullptr;
  TESSERA_RETURN_IF_ERROR(driver.check(add(&added), "put a node in another's place"));
  const std::vector<CUgraphNode> after_it(before.nodes.size(), added);
  TESSERA_RETURN_IF_ERROR(link(driver, graph, before.nodes, after_it, before.edges));
  const std::vector<CUgraphNode> before_it(after.nodes.size(), added);
  return link(driver, graph, before_it, after.nodes, after.edges);
}

}  // namespace tessera::device
