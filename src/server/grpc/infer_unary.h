// ModelInfer.
#pragma once

#include <memory>

#include "server/grpc/backend.h"
#include "server/grpc/rpc.h"

namespace tessera::server {

std::shared_ptr<RpcHandler> make_infer_unary(Backend& backend, std::shared_ptr<Rpc> rpc);

}  // namespace tessera::server
