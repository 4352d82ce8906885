// From a ModelInferRequest message as it came from the wire to the request that the service takes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "core/request.h"
#include "runtime/service.h"
#include "server/outputs.h"
#include "server/shared_memory.h"

namespace tessera::server {

// Where the bytes of a request's tensors lie. Owned by the thread that decodes.
class TensorMemory {
 public:
  virtual ~TensorMemory() = default;
  virtual Result<std::shared_ptr<runtime::BodyMemory>> lease(std::string_view model, Bytes size) = 0;
  virtual Result<SharedMemoryView> shared(const SharedMemoryRange& range) = 0;
};

struct DecodedInfer {
  InferRequest request;                // all but the arrival
  std::vector<OutputOptions> outputs;  // as many as request.outputs, in the same order; none: all outputs
  bool empty_final_response = false;   // a stream's answer is followed by an empty one
  Bytes copied{};                      // tensor bytes that were copied
};

// Bounds of one request. Each has its own sentence when it is passed.
inline constexpr std::size_t kMaxRequestTensors = 1024;  // inputs, outputs or raw contents
inline constexpr std::size_t kMaxNameBytes = 1024;       // names, versions, ids and keys

// `message` is the encoded message in pieces; nothing of it is referenced afterwards. Tensor bytes are copied once,
// into leased memory, every tensor aligned to 64 bytes; those in shared memory stay there (but BYTES, whose lengths
// must not change once they are checked). Where this fails, `out` holds what was read before (the id, for one). Error:
// kInvalidArgument for what the message says, and what `memory` answers.
Status decode_infer(std::span<const std::span<const std::byte>> message, TensorMemory& memory, DecodedInfer& out);

}  // namespace tessera::server
