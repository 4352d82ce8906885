// Requests of a model with shape buckets: padded before they are queued, and their answers cut back. Where a request
// has the size of a bucket, nothing is copied.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "core/batch.h"
#include "core/request.h"
#include "runtime/service.h"
#include "runtime/ticket.h"

namespace tessera::runtime {

// Inputs in the shape that they are computed in: those of `ticket`, which admission has found a larger bucket for.
// Error: that of `lease`, which memory comes from; kTooLarge where no memory would do.
Result<std::shared_ptr<const PaddedInputs>> pad_inputs(
    const InferRequest& request, const Ticket& ticket,
    const std::function<Result<std::shared_ptr<BodyMemory>>(Bytes)>& lease);

// Cuts the response of a padded request to what the request brought; what was copied for that. Error: kInternal where
// an output does not have the size that the configuration says.
Result<Bytes> cut_outputs(const Ticket& ticket, InferResponse& response);

}  // namespace tessera::runtime
