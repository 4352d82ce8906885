// Graphs of the driver in memory.
#include <algorithm>
#include <map>

#include "tests/support/cuda/fake_cuda_impl.h"

namespace tessera::device::test {
namespace {

// Nodes in an order that their edges allow.
std::vector<FakeNode*> ordered(const FakeGraph& graph) {
  std::vector<FakeNode*> order;
  while (order.size() < graph.nodes.size()) {
    const std::size_t before = order.size();
    for (const auto& node : graph.nodes) {
      const auto placed = [&](const FakeNode* other) {
        return std::find(order.begin(), order.end(), other) != order.end();
      };
      const bool ready = std::all_of(graph.edges.begin(), graph.edges.end(),
                                     [&](const FakeEdge& edge) { return edge.to != node.get() || placed(edge.from); });
      if (ready && !placed(node.get())) {
        order.push_back(node.get());
      }
    }
    if (order.size() == before) {
      return {};  // a circle
    }
  }
  return order;
}

FakeGraph copy_of(const FakeGraph& graph) {
  FakeGraph copy;
  std::map<const FakeNode*, FakeNode*> now;
  for (const auto& node : graph.nodes) {
    auto made = copy_of(*node);
    made->origin = node.get();
    now[node.get()] = made.get();
    copy.nodes.push_back(std::move(made));
  }
  for (const FakeEdge& edge : graph.edges) {
    copy.edges.push_back({now.at(edge.from), now.at(edge.to), edge.data});
  }
  return copy;
}

void set_values(FakeNode& node, void** values) {
  node.values.clear();
  node.addresses.clear();
  for (std::size_t i = 0; i < node.kernel->arguments.size(); ++i) {
    const auto* bytes = static_cast<const std::byte*>(values[i]);
    node.values.emplace_back(bytes, bytes + node.kernel->arguments[i]);
  }
  for (auto& value : node.values) {
    node.addresses.push_back(value.data());
  }
}

}  // namespace

std::unique_ptr<FakeNode> copy_of(const FakeNode& node) {
  auto copy = std::make_unique<FakeNode>(node);
  copy->addresses.clear();
  for (auto& value : copy->values) {
    copy->addresses.push_back(value.data());
  }
  return copy;
}

std::unique_ptr<FakeNode> kernel_node(FakeKernel* kernel, FakeContext* context, void** values) {
  auto node = std::make_unique<FakeNode>();
  node->type = CU_GRAPH_NODE_TYPE_KERNEL;
  node->context = context;
  node->kernel = kernel;
  node->launch.func = reinterpret_cast<CUfunction>(kernel);
  node->launch.kern = kernel->bound ? nullptr : reinterpret_cast<CUkernel>(kernel);
  set_values(*node, values);
  return node;
}

CUresult FakeCuda::Impl::graph_destroy(CUgraph graph) {
  std::erase_if(graphs, [&](const auto& one) { return one.get() == as<FakeGraph>(graph); });
  return gone();
}

CUresult FakeCuda::Impl::graph_clone(CUgraph* clone, CUgraph graph) {
  graphs.push_back(std::make_unique<FakeGraph>(copy_of(*as<FakeGraph>(graph))));
  return made(clone, graphs.back().get());
}

CUresult FakeCuda::Impl::graph_get_nodes(CUgraph graph, CUgraphNode* nodes, std::size_t* count) {
  const auto& all = as<FakeGraph>(graph)->nodes;
  for (std::size_t i = 0; nodes != nullptr && i < std::min(*count, all.size()); ++i) {
    nodes[i] = reinterpret_cast<CUgraphNode>(all[i].get());
  }
  return give(count, all.size());
}

CUresult FakeCuda::Impl::graph_get_root_nodes(CUgraph graph, CUgraphNode* nodes, std::size_t* count) {
  std::size_t found = 0;
  for (const auto& node : as<FakeGraph>(graph)->nodes) {
    const auto& edges = as<FakeGraph>(graph)->edges;
    if (std::none_of(edges.begin(), edges.end(), [&](const FakeEdge& edge) { return edge.to == node.get(); })) {
      if (nodes != nullptr && found < *count) {
        nodes[found] = reinterpret_cast<CUgraphNode>(node.get());
      }
      ++found;
    }
  }
  return give(count, found);
}

CUresult FakeCuda::Impl::graph_destroy_node(CUgraphNode node) {
  for (const auto& graph : graphs) {
    std::erase_if(graph->edges, [&](const FakeEdge& edge) {
      return edge.from == as<FakeNode>(node) || edge.to == as<FakeNode>(node);
    });
    std::erase_if(graph->nodes, [&](const auto& one) { return one.get() == as<FakeNode>(node); });
  }
  return CUDA_SUCCESS;
}

CUresult FakeCuda::Impl::graph_node_get_type(CUgraphNode node, CUgraphNodeType* type) {
  return give(type, as<FakeNode>(node)->type);
}
CUresult FakeCuda::Impl::graph_node_find_in_clone(CUgraphNode* found, CUgraphNode node, CUgraph clone) {
  for (const auto& one : as<FakeGraph>(clone)->nodes) {
    if (one->origin == as<FakeNode>(node)) {
      return give(found, reinterpret_cast<CUgraphNode>(one.get()));
    }
  }
  return CUDA_ERROR_INVALID_VALUE;
}

CUresult FakeCuda::Impl::neighbours(CUgraphNode node, bool before, CUgraphNode* nodes, CUgraphEdgeData* data,
                                    std::size_t* count) {
  std::size_t found = 0;
  for (const auto& graph : graphs) {
    for (const FakeEdge& edge : graph->edges) {
      if ((before ? edge.to : edge.from) != as<FakeNode>(node)) {
        continue;
      }
      if (nodes != nullptr) {
        nodes[found] = reinterpret_cast<CUgraphNode>(before ? edge.from : edge.to);
        data[found] = edge.data;
      }
      ++found;
    }
  }
  return give(count, found);
}

CUresult FakeCuda::Impl::graph_node_get_dependencies(CUgraphNode node, CUgraphNode* nodes, CUgraphEdgeData* data,
                                                     std::size_t* count) {
  return neighbours(node, true, nodes, data, count);
}

CUresult FakeCuda::Impl::graph_node_get_dependents(CUgraphNode node, CUgraphNode* nodes, CUgraphEdgeData* data,
                                                   std::size_t* count) {
  return neighbours(node, false, nodes, data, count);
}

CUresult FakeCuda::Impl::graph_add_dependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                                const CUgraphEdgeData* data, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    as<FakeGraph>(graph)->edges.push_back({as<FakeNode>(from[i]), as<FakeNode>(to[i]), data[i]});
  }
  return CUDA_SUCCESS;
}

CUresult FakeCuda::Impl::graph_kernel_node_get_params(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS* params) {
  *params = as<FakeNode>(node)->launch;
  params->kernelParams = as<FakeNode>(node)->addresses.data();
  params->ctx = reinterpret_cast<CUcontext>(as<FakeNode>(node)->context);
  return CUDA_SUCCESS;
}

// As the driver does it: with func set, kern and ctx count for nothing.
void FakeCuda::Impl::set_params(FakeNode& node, const CUDA_KERNEL_NODE_PARAMS& params) {
  node.kernel = as<FakeKernel>(params.func != nullptr ? reinterpret_cast<void*>(params.func)
                                                      : reinterpret_cast<void*>(params.kern));
  if (params.func == nullptr) {
    node.context = as<FakeContext>(params.ctx);
  }
  if (params.kernelParams != node.addresses.data()) {
    set_values(node, params.kernelParams);
  }
}

CUresult FakeCuda::Impl::graph_kernel_node_set_params(CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS* params) {
  set_params(*as<FakeNode>(node), *params);
  return CUDA_SUCCESS;
}

CUresult FakeCuda::Impl::graph_kernel_node_get_attribute(CUgraphNode node, CUkernelNodeAttrID,
                                                         CUkernelNodeAttrValue* value) {
  value->cooperative = as<FakeNode>(node)->cooperative ? 1 : 0;
  return CUDA_SUCCESS;
}

CUresult FakeCuda::Impl::graph_memset_node_get_params(CUgraphNode node, CUDA_MEMSET_NODE_PARAMS* params) {
  return give(params, as<FakeNode>(node)->memset);
}

CUresult FakeCuda::Impl::graph_memcpy_node_get_params(CUgraphNode node, CUDA_MEMCPY3D* params) {
  return give(params, as<FakeNode>(node)->copy);
}

CUresult FakeCuda::Impl::add_node(CUgraphNode* added, CUgraph graph, const CUgraphNode* after, std::size_t count,
                                  std::unique_ptr<FakeNode> node, CUcontext context) {
  FakeGraph& to = *as<FakeGraph>(graph);
  node->context = as<FakeContext>(context);
  for (std::size_t i = 0; i < count; ++i) {
    to.edges.push_back({as<FakeNode>(after[i]), node.get(), {}});
  }
  to.nodes.push_back(std::move(node));
  return give(added, reinterpret_cast<CUgraphNode>(to.nodes.back().get()));
}

CUresult FakeCuda::Impl::graph_add_kernel_node(CUgraphNode* added, CUgraph graph, const CUgraphNode* after,
                                               std::size_t count, const CUDA_KERNEL_NODE_PARAMS* params) {
  auto* const kernel = params->func != nullptr ? as<FakeKernel>(params->func) : as<FakeKernel>(params->kern);
  auto node = kernel_node(kernel, nullptr, params->kernelParams);
  node->launch.gridDimX = params->gridDimX;
  node->launch.gridDimY = params->gridDimY;
  node->launch.gridDimZ = params->gridDimZ;
  node->launch.blockDimX = params->blockDimX;
  node->launch.blockDimY = params->blockDimY;
  node->launch.blockDimZ = params->blockDimZ;
  node->launch.sharedMemBytes = params->sharedMemBytes;
  const bool named = params->func == nullptr && params->ctx != nullptr;
  const CUcontext context = named ? params->ctx : reinterpret_cast<CUcontext>(stack().back());
  return add_node(added, graph, after, count, std::move(node), context);
}

CUresult FakeCuda::Impl::graph_add_memset_node(CUgraphNode* added, CUgraph graph, const CUgraphNode* after,
                                               std::size_t count, const CUDA_MEMSET_NODE_PARAMS* params,
                                               CUcontext context) {
  auto node = std::make_unique<FakeNode>();
  node->type = CU_GRAPH_NODE_TYPE_MEMSET;
  node->memset = *params;
  return add_node(added, graph, after, count, std::move(node), context);
}

CUresult FakeCuda::Impl::graph_add_memcpy_node(CUgraphNode* added, CUgraph graph, const CUgraphNode* after,
                                               std::size_t count, const CUDA_MEMCPY3D* params, CUcontext context) {
  auto node = std::make_unique<FakeNode>();
  node->type = CU_GRAPH_NODE_TYPE_MEMCPY;
  node->copy = *params;
  return add_node(added, graph, after, count, std::move(node), context);
}

CUresult FakeCuda::Impl::graph_instantiate(CUgraphExec* exec, CUgraph graph, unsigned long long) {
  execs.push_back(std::make_unique<FakeExec>());
  FakeExec& one = *execs.back();
  one.graph = copy_of(*as<FakeGraph>(graph));
  one.order = ordered(one.graph);
  return one.order.size() == one.graph.nodes.size() ? made(exec, &one) : CUDA_ERROR_INVALID_VALUE;
}

CUresult FakeCuda::Impl::graph_upload(CUgraphExec exec, CUstream) {
  as<FakeExec>(exec)->uploaded = true;
  return CUDA_SUCCESS;
}

CUresult FakeCuda::Impl::graph_launch(CUgraphExec exec, CUstream stream) {
  FakeCommand command;
  command.exec = as<FakeExec>(exec);
  command.nodes = std::make_shared<FakeGraph>();
  for (const FakeNode* node : command.exec->order) {
    command.nodes->nodes.push_back(copy_of(*node));
  }
  return queue(stream, std::move(command));
}

CUresult FakeCuda::Impl::graph_exec_destroy(CUgraphExec) { return gone(); }
CUresult FakeCuda::Impl::graph_exec_kernel_node_set_params(CUgraphExec exec, CUgraphNode node,
                                                           const CUDA_KERNEL_NODE_PARAMS* params) {
  for (FakeNode* one : as<FakeExec>(exec)->order) {
    if (one->origin == as<FakeNode>(node)) {
      set_params(*one, *params);
      return CUDA_SUCCESS;
    }
  }
  return CUDA_ERROR_INVALID_VALUE;
}

}  // namespace tessera::device::test
