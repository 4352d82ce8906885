// How an error looks on each wire. The one place that maps our error codes to HTTP and gRPC.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace tessera::server {

// HTTP status; 500 stands for a bug of ours alone.
int http_status(ErrorCode code);

// Value of grpc::StatusCode, kept as a number so that this header needs no gRPC. Waits that ended (queue full,
// deadline) are UNAVAILABLE, as Triton's clients expect.
int grpc_status(ErrorCode code);

// "[request id: ID] " in front of the message, "<id_unknown>" where the client gave none; unless it is there already.
Error with_request_id(Error error, std::string_view id);

// An error of an inference as its client sees it, over whatever protocol: told apart by the request's id, but for what
// is not known (a model, a region of shared memory), which stands alone.
Error inference_error(Error error, std::string_view id);

}  // namespace tessera::server
