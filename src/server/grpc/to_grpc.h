// Errors as gRPC statuses.
#pragma once

#include <grpcpp/support/status.h>

#include "base/result.h"

namespace grpc {
class ServerContextBase;
}

namespace tessera::server {

// The code of server/status.h and the message, cut where trailers would grow too long for clients to accept. A known
// time for another try is announced as the trailer grpc-retry-pushback-ms (gRPC proposal A6), where there is a context.
::grpc::Status to_grpc(const Error& error, ::grpc::ServerContextBase* context = nullptr);

inline ::grpc::Status to_grpc(const Status& status, ::grpc::ServerContextBase* context = nullptr) {
  return status.ok() ? ::grpc::Status::OK : to_grpc(status.error(), context);
}

}  // namespace tessera::server
