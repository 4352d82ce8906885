// Whose memory a captured graph touches, as far as its nodes' arguments tell.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"
#include "device/cuda/gpu.h"

namespace tessera::device {

// Addresses from `begin` to `end`, and what to call them in an error.
struct NamedRange {
  CUdeviceptr begin = 0;
  CUdeviceptr end = 0;
  std::string name;
};

// Looks at every 8-byte word of every kernel's arguments and at both ends of memsets and copies. Returns how many words
// that were. Error: kUnsupported, naming the first that lies in one of `foreign`: a replay would touch what belongs to
// somebody else. What looks like an address may be two numbers of 4 bytes; see Gpu::next_addresses.
Result<std::size_t> check_pointers(const Gpu& gpu, CUgraph graph, std::span<const NamedRange> foreign);

}  // namespace tessera::device
