// Requests to batch and batch to answers, without copying a byte.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "core/batch.h"
#include "core/request.h"
#include "runtime/ticket.h"

namespace tessera::runtime {

// Fills batch.rows, bucket and inputs from the requests of `record.first`, in their order. What the batch held before
// is reused. The views stay valid while the requests' memory does.
void assemble(LaunchRecord& record, std::int32_t bucket);

// Whether a plan filled the outputs as the signature says; the error is a bug of the engine or the model and goes to
// every request of the batch.
Status check_outputs(const LaunchRecord& record);

// Hands out the rows of a batch's outputs, request by request, in batch order. Owned by one thread.
class OutputSplitter {
 public:
  explicit OutputSplitter(const LaunchRecord& record);

  // The outputs that `ticket` wants, as views that share the batch's memory. Error: the engine's BYTES are malformed.
  Result<InferResponse> next(const Ticket& ticket);
  Bytes copied() const { return copied_; }  // for those that were cut to their requests' shapes

 private:
  // The bytes of `rows` rows of an output, from where the previous request's ended.
  Result<std::span<const std::byte>> take(std::size_t output, std::int32_t rows);

  const LaunchRecord& record_;
  const bool whole_;                // the batch is one request's: nothing is cut
  std::vector<std::size_t> taken_;  // by output: bytes handed out
  Bytes copied_;
};

// The answer to a request of no rows, which needs no processor: every output with no rows.
InferResponse empty_response(const Ticket& ticket);

}  // namespace tessera::runtime
