// ModelStreamInfer.
#pragma once

#include <cstddef>

namespace grpc {
class ByteBuffer;
template <class Request, class Response>
class ServerBidiReactor;
}  // namespace grpc

namespace tessera::server {

class Backend;
class OpenStreams;

// Requests of one stream that are taken and not answered; further ones stay in the connection's flow control.
inline constexpr std::size_t kMaxStreamRequests = 64;

// Answers one stream, in the order of its requests; what goes wrong with one of them is its answer's error_message. The
// reactor owns itself until gRPC is done with it.
::grpc::ServerBidiReactor<::grpc::ByteBuffer, ::grpc::ByteBuffer>* infer_stream(Backend& backend, OpenStreams& streams);

}  // namespace tessera::server
