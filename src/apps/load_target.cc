#include "apps/load_target.h"

#include <utility>

#include "client/endpoint.h"
#include "client/grpc/grpc_target.h"
#include "client/http/http_target.h"

namespace tessera::apps {
namespace {

client::RequestOptions request_options(const LoadOptions& options, const loadgen::Workload& workload) {
  client::RequestOptions out;
  for (const loadgen::TenantSpec& tenant : workload.tenants) {
    out.models.push_back(tenant.model);
  }
  out.shapes = options.shapes;
  out.seed = options.seed;
  out.most_in_flight = options.in_flight;
  return out;
}

}  // namespace

Result<std::unique_ptr<loadgen::Target>> open_target(const LoadOptions& options, const loadgen::Workload& workload) {
  TESSERA_ASSIGN_OR_RETURN(const client::Endpoint endpoint, client::parse_endpoint(options.url));
  if (endpoint.protocol == client::Endpoint::Protocol::kGrpc) {
    TESSERA_ASSIGN_OR_RETURN(auto made, client::GrpcTarget::create(endpoint, request_options(options, workload)));
    return std::unique_ptr<loadgen::Target>(std::move(made));
  }
  TESSERA_ASSIGN_OR_RETURN(auto made, client::HttpTarget::create(endpoint, request_options(options, workload)));
  return std::unique_ptr<loadgen::Target>(std::move(made));
}

}  // namespace tessera::apps
