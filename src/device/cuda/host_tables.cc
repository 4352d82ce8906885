#include "device/cuda/host_tables.h"

#include <cstddef>
#include <vector>

#include "device/cuda/graph_edit.h"
#include "device/cuda/memory_kind.h"

namespace tessera::device {
namespace {

// Where the host's memory is that a plain copy reads; null for any other copy.
const void* host_source(const Driver& driver, const CUDA_MEMCPY3D& copy) {
  const bool plain = copy.Height <= 1 && copy.Depth <= 1 && copy.srcXInBytes == 0 && copy.srcY == 0 && copy.srcZ == 0 &&
                     copy.WidthInBytes <= kLargestFrozen;
  if (!plain || !on_device(driver, copy.dstMemoryType, copy.dstDevice)) {
    return nullptr;
  }
  if (copy.srcMemoryType == CU_MEMORYTYPE_HOST) {
    return copy.srcHost;
  }
  return on_device(driver, copy.srcMemoryType, copy.srcDevice) ? nullptr
                                                               : reinterpret_cast<const void*>(copy.srcDevice);
}

}  // namespace

Status freeze_host_tables(const Gpu& gpu, CUgraph graph, CUstream stream,
                          const std::function<Result<TablePlace>(std::span<const std::byte>)>& place) {
  const Driver& driver = gpu.driver();
  const CurrentContext current(gpu);
  TESSERA_RETURN_IF_ERROR(current.status());
  TESSERA_ASSIGN_OR_RETURN(const std::vector<CUgraphNode> nodes, nodes_of(driver, graph));
  for (const CUgraphNode node : nodes) {
    CUgraphNodeType type{};
    TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_node_get_type(node, &type), "read a node's kind"));
    if (type != CU_GRAPH_NODE_TYPE_MEMCPY) {
      continue;
    }
    CUDA_MEMCPY3D copy{};
    TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_memcpy_node_get_params(node, &copy), "read a copy node"));
    const void* table = host_source(driver, copy);
    if (table == nullptr) {
      continue;
    }
    TESSERA_ASSIGN_OR_RETURN(const TablePlace frozen, place({static_cast<const std::byte*>(table), copy.WidthInBytes}));
    if (!frozen.filled) {
      TESSERA_RETURN_IF_ERROR(driver.check(driver.memcpy_htod_async(frozen.at, table, copy.WidthInBytes, stream),
                                           "copy a table to the card"));
    }
    copy.srcMemoryType = CU_MEMORYTYPE_DEVICE;
    copy.srcHost = nullptr;
    copy.srcDevice = frozen.at;
    TESSERA_RETURN_IF_ERROR(replace_node(driver, graph, node, [&](CUgraphNode* added) {
      return driver.graph_add_memcpy_node(added, graph, nullptr, 0, &copy, gpu.context());
    }));
  }
  return driver.check(driver.stream_synchronize(stream), "copy tables to the card");
}

}  // namespace tessera::device
