// Memory for request bodies that the host's cores read.
#pragma once

#include <memory>

#include "base/ids.h"
#include "device/staging.h"

namespace tessera::device {

struct HostStagingLimits {
  Bytes largest{64ULL << 20};  // one block
  Bytes reserved{
      1ULL << 40};  // address space of all blocks; more than the memory, since pages come as they are touched
  Bytes retained{256ULL << 20};  // memory that free blocks keep for the next request
};

// Thread-safe, and no thread waits for another: free blocks lie in several small lists per size, and a list that is
// being used is passed over. Sizes are powers of two from 1 KB; blocks up to 1 MB are cut from slabs of that size,
// larger ones are ranges of their own. A free block keeps the pages it touched; over `retained` the size that keeps
// most gives pages back to the kernel (blocks below a page never do). Leased blocks may outlive the pool.
class HostStagingPool : public StagingPool {
 public:
  struct Usage {
    Bytes reserved;  // address space
    Bytes retained;  // upper bound of what free blocks keep
  };
  virtual Usage usage() const = 0;
};

std::unique_ptr<HostStagingPool> make_host_staging(const HostStagingLimits& limits);

}  // namespace tessera::device
