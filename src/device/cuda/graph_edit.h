// Looking at a graph's nodes and edges, and putting other nodes in their places.
#pragma once

#include <functional>
#include <vector>

#include "base/result.h"
#include "device/cuda/driver.h"

namespace tessera::device {

Result<std::vector<CUgraphNode>> nodes_of(const Driver& driver, CUgraph graph);

// Takes `node` out; what `add` makes, unlinked, gets its edges with all that they carry.
Status replace_node(const Driver& driver, CUgraph graph, CUgraphNode node,
                    const std::function<CUresult(CUgraphNode*)>& add);

}  // namespace tessera::device
