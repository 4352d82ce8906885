#include "device/cuda/homed_graph.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "device/cuda/graph_edit.h"

namespace tessera::device {
namespace {

void address_to(CUDA_KERNEL_NODE_PARAMS& params, CUcontext context) {
  if (params.kern != nullptr) {
    params.func = nullptr;  // with it set, the driver would ignore both kern and ctx
  }
  params.ctx = context;
}

Status rehome_kernel(const Driver& driver, CUgraphNode node, CUcontext context) {
  CUDA_KERNEL_NODE_PARAMS params{};
  TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_kernel_node_get_params(node, &params), "read a kernel node"));
  address_to(params, context);
  return driver.check(driver.graph_kernel_node_set_params(node, &params), "re-home a kernel node");
}

Status rehome_memset(const Driver& driver, CUgraph graph, CUgraphNode node, CUcontext context) {
  CUDA_MEMSET_NODE_PARAMS params{};
  TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_memset_node_get_params(node, &params), "read a memset node"));
  return replace_node(driver, graph, node, [&](CUgraphNode* added) {
    return driver.graph_add_memset_node(added, graph, nullptr, 0, &params, context);
  });
}

Status rehome_copy(const Driver& driver, CUgraph graph, CUgraphNode node, CUcontext context) {
  CUDA_MEMCPY3D params{};
  TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_memcpy_node_get_params(node, &params), "read a copy node"));
  return replace_node(driver, graph, node, [&](CUgraphNode* added) {
    return driver.graph_add_memcpy_node(added, graph, nullptr, 0, &params, context);
  });
}

Status rehome_node(const Driver& driver, CUgraph graph, CUgraphNode node, CUcontext context) {
  CUgraphNodeType type{};
  TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_node_get_type(node, &type), "read a node's kind"));
  switch (type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
      return rehome_kernel(driver, node, context);
    case CU_GRAPH_NODE_TYPE_MEMSET:
      return rehome_memset(driver, graph, node, context);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
      return rehome_copy(driver, graph, node, context);
    case CU_GRAPH_NODE_TYPE_EMPTY:
      return ok_status();
    default:
      return unsupported("a graph with a node of kind " + std::to_string(static_cast<int>(type)) +
                         " cannot be re-homed");
  }
}

}  // namespace

Result<OwnedGraph> capture(const Gpu& gpu, CUstream stream, const std::function<Status(CUstream)>& work) {
  const Driver& driver = gpu.driver();
  const CurrentContext current(gpu);
  TESSERA_RETURN_IF_ERROR(current.status());
  TESSERA_RETURN_IF_ERROR(
      driver.check(driver.stream_begin_capture(stream, CU_STREAM_CAPTURE_MODE_RELAXED), "begin a capture"));
  const Status worked = work(stream);
  CUgraph graph = nullptr;
  const Status ended = driver.check(driver.stream_end_capture(stream, &graph), "end a capture");
  OwnedGraph captured(driver, graph);
  if (!worked.ok() || !ended.ok()) {
    return worked.ok() ? ended.error() : worked.error();
  }
  return captured;
}

Result<OwnedGraph> rehome(const Gpu& gpu, CUgraph source, CUcontext context) {
  const Driver& driver = gpu.driver();
  const CurrentContext current(gpu);
  TESSERA_RETURN_IF_ERROR(current.status());
  CUgraph clone = nullptr;
  TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_clone(&clone, source), "clone a graph"));
  OwnedGraph graph(driver, clone);
  TESSERA_ASSIGN_OR_RETURN(const std::vector<CUgraphNode> nodes, nodes_of(driver, clone));
  for (const CUgraphNode node : nodes) {
    TESSERA_RETURN_IF_ERROR(rehome_node(driver, clone, node, context));
  }
  return graph;
}

Result<HomedGraph> HomedGraph::make(const Gpu& gpu, CUgraph source, CUcontext context, CUstream stream) {
  const Driver& driver = gpu.driver();
  const CurrentContext current(gpu);
  TESSERA_RETURN_IF_ERROR(current.status());
  const TimePoint begun = now();
  TESSERA_ASSIGN_OR_RETURN(OwnedGraph graph, rehome(gpu, source, context));
  HomedGraph homed(gpu, context, std::move(graph));
  const TimePoint rehomed = now();
  CUgraphExec exec = nullptr;
  const CUresult instantiated = driver.graph_instantiate(&exec, homed.graph_.get(), 0);
  if (instantiated == CUDA_ERROR_INVALID_CLUSTER_SIZE) {
    return unsupported("a kernel's cluster of blocks does not fit the slice's processors");
  }
  TESSERA_RETURN_IF_ERROR(driver.check(instantiated, "instantiate a homed graph"));
  homed.exec_ = OwnedGraphExec(driver, exec);
  const TimePoint instantiate_ended = now();
  TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_upload(exec, stream), "upload a homed graph"));
  TESSERA_RETURN_IF_ERROR(driver.check(driver.stream_synchronize(stream), "upload a homed graph"));
  homed.took_ = {rehomed - begun, instantiate_ended - rehomed, now() - instantiate_ended};
  return homed;
}

Result<HomedGraph::Kernel> HomedGraph::kernel_of(CUgraphNode in_source) const {
  TESSERA_CHECK(graph_);
  Kernel kernel;
  TESSERA_RETURN_IF_ERROR(
      driver_->check(driver_->graph_node_find_in_clone(&kernel.node, in_source, graph_.get()), "find a homed node"));
  TESSERA_RETURN_IF_ERROR(
      driver_->check(driver_->graph_kernel_node_get_params(kernel.node, &kernel.params), "read a homed kernel node"));
  address_to(kernel.params, context_);
  return kernel;
}

Status HomedGraph::set_arguments(const Kernel& kernel, void** values) const {
  TESSERA_CHECK(graph_);
  CUDA_KERNEL_NODE_PARAMS params = kernel.params;
  params.kernelParams = values;
  params.extra = nullptr;
  return driver_->check(driver_->graph_exec_kernel_node_set_params(exec_.get(), kernel.node, &params),
                        "set a homed kernel's arguments");
}

Status HomedGraph::launch(CUstream stream) const {
  return driver_->check(driver_->graph_launch(exec_.get(), stream), "launch a homed graph");
}

}  // namespace tessera::device
