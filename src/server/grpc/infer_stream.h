// ModelStreamInfer.
#pragma once

#include <cstddef>
#include <memory>

#include "server/grpc/backend.h"
#include "server/grpc/open_streams.h"
#include "server/grpc/rpc.h"

namespace tessera::server {

// Requests of one stream that are taken and not answered; further ones stay in the connection's flow control.
inline constexpr std::size_t kMaxStreamRequests = 64;

// Answers one stream, in the order of its requests; what goes wrong with one of them is its answer's error_message.
std::shared_ptr<RpcHandler> make_infer_stream(Backend& backend, OpenStreams& streams, std::shared_ptr<Rpc> rpc);

}  // namespace tessera::server
