// The gRPC services of this server.
#pragma once

#include <memory>

namespace grpc {
class Service;
}

namespace tessera::server {

class Backend;
class OpenStreams;

// inference.GRPCInferenceService: Triton's superset of the Open Inference Protocol v2.
std::unique_ptr<::grpc::Service> make_inference_service(Backend& backend, OpenStreams& streams);

// grpc.health.v1.Health. An empty service name and the inference service's ask for the server, others for a model.
std::unique_ptr<::grpc::Service> make_health_service(Backend& backend, OpenStreams& streams);

}  // namespace tessera::server
