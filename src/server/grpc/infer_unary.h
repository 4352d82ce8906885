// ModelInfer.
#pragma once

namespace grpc {
class ByteBuffer;
class CallbackServerContext;
class ServerUnaryReactor;
}  // namespace grpc

namespace tessera::server {

class Backend;

// Answers one call; the reactor owns itself until gRPC is done with it.
::grpc::ServerUnaryReactor* infer_unary(Backend& backend, ::grpc::CallbackServerContext& context,
                                        const ::grpc::ByteBuffer& request, ::grpc::ByteBuffer& response);

}  // namespace tessera::server
