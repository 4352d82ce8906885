// Which calls of CUDA make others on the same card wait: what was measured, as rules (docs/gpu.md).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tessera::device::contract {

// One call of the driver or the runtime, as far as the rules look at it. Immutable value.
struct CudaCall {
  std::string name = {};     // without what versions and stream kinds add: "cuMemFree", "cudaMemcpy"
  std::size_t bytes = 0;     // of a copy
  bool to_card = false;      // of a copy: from the host's memory
  bool pageable = false;     // of a copy: that memory is not pinned
  bool null_handle = false;  // what is freed is null
  bool null_stream = false;  // it is queued on, or waits for, the stream that all legacy work shares
  bool in_primary = true;    // the context that everybody works in is the current one
};

// "cuMemcpyHtoD_v2_ptds", "cudaMemcpy_v3020": without the ends.
std::string plain_name(std::string_view name);

// Why neighbours would wait; nothing for a call that is harmless.
std::optional<std::string> why_forbidden(const CudaCall& call);

}  // namespace tessera::device::contract
