// The checks that every request passes before it is queued: a bad one is answered here, never later.
#pragma once

#include "base/result.h"
#include "core/request.h"
#include "core/tensor.h"
#include "runtime/ticket.h"
#include "sched/model_params.h"

namespace tessera::runtime {

// Fills what the ticket says of the request: rows, shape class, order of inputs and outputs, priority, timeout.
// `ticket.served` must be set. The error's text is what clients of such servers match, behind "[request id: ID] ".
// Thread-safe.
Status admit(const InferRequest& request, Ticket& ticket);

// The answer to a request for a name or version that does not serve.
Error unknown_model(std::string_view model);

}  // namespace tessera::runtime
