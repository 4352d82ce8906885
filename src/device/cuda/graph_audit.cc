#include "device/cuda/graph_audit.h"

#include <cstdint>
#include <string>
#include <vector>

#include "device/cuda/graph_edit.h"
#include "device/cuda/memory_kind.h"

namespace tessera::device {
namespace {

const char* name_of(CUgraphNodeType type) {
  switch (type) {
    case CU_GRAPH_NODE_TYPE_HOST:
      return "a call of the host";
    case CU_GRAPH_NODE_TYPE_GRAPH:
      return "a graph within the graph";
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
      return "an event";
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
      return "an allocation of memory";
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
      return "a condition";
    default:
      return "a node of another kind";
  }
}

Status check_cooperative(const Driver& driver, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS& params,
                         int fewest_processors) {
  CUlaunchAttributeValue value{};
  TESSERA_RETURN_IF_ERROR(
      driver.check(driver.graph_kernel_node_get_attribute(node, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &value),
                   "read a kernel node's attribute"));
  if (value.cooperative == 0) {
    return ok_status();
  }
  int per_processor = 0;
  const auto threads = static_cast<int>(params.blockDimX * params.blockDimY * params.blockDimZ);
  TESSERA_RETURN_IF_ERROR(
      driver.check(driver.occupancy_max_active_blocks(&per_processor, reinterpret_cast<CUfunction>(params.kern),
                                                      threads, params.sharedMemBytes),
                   "read a kernel's occupancy"));
  const std::uint64_t blocks = std::uint64_t{params.gridDimX} * params.gridDimY * params.gridDimZ;
  const auto room = static_cast<std::uint64_t>(per_processor) * static_cast<std::uint64_t>(fewest_processors);
  if (blocks > room) {
    return unsupported("it holds a cooperative kernel of " + std::to_string(blocks) + " blocks, and " +
                       std::to_string(fewest_processors) + " processors hold " + std::to_string(room) + " at once");
  }
  return ok_status();
}

Status check_kernel(const Driver& driver, CUgraphNode node, int fewest_processors) {
  CUDA_KERNEL_NODE_PARAMS params{};
  TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_kernel_node_get_params(node, &params), "read a kernel node"));
  if (params.kern == nullptr) {
    return unsupported("it holds a kernel that is bound to a context");
  }
  return check_cooperative(driver, node, params, fewest_processors);
}

Status check_copy(const Driver& driver, CUgraphNode node) {
  CUDA_MEMCPY3D params{};
  TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_memcpy_node_get_params(node, &params), "read a copy node"));
  if (!on_device(driver, params.srcMemoryType, params.srcDevice) ||
      !on_device(driver, params.dstMemoryType, params.dstDevice)) {
    return unsupported("it holds a copy to or from the host's memory");
  }
  return ok_status();
}

}  // namespace

bool on_device(const Driver& driver, CUmemorytype type, CUdeviceptr address) {
  if (type == CU_MEMORYTYPE_UNIFIED) {
    unsigned found = 0;
    // Memory that the driver does not know is the host's.
    if (driver.pointer_get_attribute(&found, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address) != CUDA_SUCCESS) {
      return false;
    }
    type = static_cast<CUmemorytype>(found);
  }
  return type == CU_MEMORYTYPE_DEVICE || type == CU_MEMORYTYPE_ARRAY;
}

Result<GraphAudit> audit(const Gpu& gpu, CUgraph graph, int fewest_processors) {
  const Driver& driver = gpu.driver();
  const CurrentContext current(gpu);
  TESSERA_RETURN_IF_ERROR(current.status());
  TESSERA_ASSIGN_OR_RETURN(const std::vector<CUgraphNode> nodes, nodes_of(driver, graph));
  GraphAudit found;
  for (const CUgraphNode node : nodes) {
    CUgraphNodeType type{};
    TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_node_get_type(node, &type), "read a node's kind"));
    switch (type) {
      case CU_GRAPH_NODE_TYPE_KERNEL:
        TESSERA_RETURN_IF_ERROR(check_kernel(driver, node, fewest_processors));
        ++found.kernels;
        break;
      case CU_GRAPH_NODE_TYPE_MEMSET:
        ++found.memsets;
        break;
      case CU_GRAPH_NODE_TYPE_MEMCPY:
        TESSERA_RETURN_IF_ERROR(check_copy(driver, node));
        ++found.copies;
        break;
      case CU_GRAPH_NODE_TYPE_EMPTY:
        break;
      default:
        return unsupported(std::string("it holds ") + name_of(type));
    }
  }
  return found;
}

}  // namespace tessera::device
