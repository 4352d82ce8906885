// Whether a captured graph can be re-homed and replayed with the same meaning.
#pragma once

#include <cstddef>

#include "base/result.h"
#include "device/cuda/gpu.h"

namespace tessera::device {

struct GraphAudit {
  std::size_t kernels = 0;
  std::size_t memsets = 0;
  std::size_t copies = 0;
};

// Error: kUnsupported, naming the node that forbids it: of another kind than kernel, memset, copy (and empty, which
// does nothing); a copy to or from host memory, which a replay would find dead; a kernel that is bound to a context;
// a cooperative kernel whose blocks do not all fit on `fewest_processors` at once.
Result<GraphAudit> audit(const Gpu& gpu, CUgraph graph, int fewest_processors);

}  // namespace tessera::device
