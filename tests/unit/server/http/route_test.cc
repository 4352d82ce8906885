#include "server/http/route.h"

#include <gtest/gtest.h>

namespace tessera::server::http {
namespace {

Route route_of(Method method, std::string_view target) {
  const auto found = find_route(method, target);
  EXPECT_TRUE(std::holds_alternative<Route>(found)) << target;
  const auto* route = std::get_if<Route>(&found);
  return route != nullptr ? *route : Route{};
}

int status_of(Method method, std::string_view target) {
  const auto found = find_route(method, target);
  const auto* refusal = std::get_if<Refusal>(&found);
  return refusal != nullptr ? refusal->status : 200;
}

TEST(Route, KnowsTheServersEndpoints) {
  EXPECT_EQ(route_of(Method::kGet, "/v2").endpoint, Endpoint::kServerMetadata);
  EXPECT_EQ(route_of(Method::kGet, "/v2/").endpoint, Endpoint::kServerMetadata);
  EXPECT_EQ(route_of(Method::kHead, "/v2/health/live").endpoint, Endpoint::kLive);
  EXPECT_EQ(route_of(Method::kGet, "/v2/health/ready?x=1").endpoint, Endpoint::kReady);
  EXPECT_EQ(route_of(Method::kGet, "/v2/models").endpoint, Endpoint::kModels);
  EXPECT_EQ(route_of(Method::kGet, "/v2/models/stats").endpoint, Endpoint::kAllStatistics);
  EXPECT_EQ(route_of(Method::kPost, "/v2/repository/index").endpoint, Endpoint::kRepositoryIndex);
  EXPECT_EQ(route_of(Method::kPost, "/v2/repository/r/index").endpoint, Endpoint::kRepositoryIndex);
  EXPECT_EQ(route_of(Method::kGet, "/v2/logging").endpoint, Endpoint::kLogging);
  EXPECT_EQ(route_of(Method::kPost, "/v2/trace/setting").endpoint, Endpoint::kTraceSetting);
  EXPECT_EQ(route_of(Method::kPost, "/v2/models/m/trace/setting").endpoint, Endpoint::kTraceSetting);
}

TEST(Route, KnowsModelsAndVersions) {
  const Route plain = route_of(Method::kPost, "/v2/models/m/infer");
  EXPECT_EQ(plain.endpoint, Endpoint::kInfer);
  EXPECT_EQ(plain.model, "m");
  EXPECT_EQ(plain.version, std::nullopt);
  const Route versioned = route_of(Method::kPost, "/v2/models/a%2Fb%20c/versions/12/infer");
  EXPECT_EQ(versioned.endpoint, Endpoint::kInfer);
  EXPECT_EQ(versioned.model, "a/b c");
  EXPECT_EQ(versioned.version, 12);
  EXPECT_EQ(route_of(Method::kGet, "/v2/models/m").endpoint, Endpoint::kModelMetadata);
  EXPECT_EQ(route_of(Method::kGet, "/v2/models/m/versions/1").endpoint, Endpoint::kModelMetadata);
  EXPECT_EQ(route_of(Method::kGet, "/v2/models/m/ready").endpoint, Endpoint::kModelReady);
  EXPECT_EQ(route_of(Method::kGet, "/v2/models/m/versions/1/config").endpoint, Endpoint::kModelConfig);
  EXPECT_EQ(route_of(Method::kGet, "/v2/models/stats/versions/1/stats").model, "stats");
  EXPECT_EQ(route_of(Method::kPost, "/v2/models/m/generate_stream").endpoint, Endpoint::kGenerate);
  EXPECT_EQ(route_of(Method::kPost, "/v2/repository/models/m/load").model, "m");
  EXPECT_EQ(route_of(Method::kPost, "/v2/repository/r/models/m/unload").endpoint, Endpoint::kRepositoryUnload);
}

TEST(Route, KnowsOurOwn) {
  EXPECT_EQ(route_of(Method::kGet, "/v2/tessera/policy").endpoint, Endpoint::kPolicy);
  EXPECT_EQ(route_of(Method::kPost, "/v2/tessera/policy").endpoint, Endpoint::kPolicy);
  const Route params = route_of(Method::kPost, "/v2/tessera/models/a%2Fb/params");
  EXPECT_EQ(params.endpoint, Endpoint::kParams);
  EXPECT_EQ(params.model, "a/b");
  EXPECT_EQ(route_of(Method::kPost, "/v2/tessera/fit").endpoint, Endpoint::kFit);
  EXPECT_EQ(route_of(Method::kGet, "/v2/tessera/devices").endpoint, Endpoint::kDevices);
  EXPECT_EQ(route_of(Method::kPost, "/v2/tessera/devices").endpoint, Endpoint::kDevices);
  EXPECT_EQ(status_of(Method::kGet, "/v2/tessera/fit"), 405);
  EXPECT_EQ(status_of(Method::kGet, "/v2/tessera"), 404);
  EXPECT_EQ(status_of(Method::kGet, "/v2/tessera/models/m"), 404);
  EXPECT_EQ(status_of(Method::kGet, "/v2/tessera/models/m/versions/1/params"), 404);
}

TEST(Route, KnowsSharedMemory) {
  const Route one = route_of(Method::kPost, "/v2/systemsharedmemory/region/r/register");
  EXPECT_EQ(one.endpoint, Endpoint::kSharedMemoryRegister);
  EXPECT_EQ(one.region, "r");
  EXPECT_FALSE(one.cuda);
  EXPECT_TRUE(route_of(Method::kPost, "/v2/cudasharedmemory/unregister").cuda);
  EXPECT_EQ(route_of(Method::kGet, "/v2/systemsharedmemory/status").region, "");
  EXPECT_EQ(status_of(Method::kPost, "/v2/systemsharedmemory/register"), 404);
}

TEST(Route, RefusesTheRest) {
  for (const std::string_view target :
       {"", "x", "/", "/v1", "/v2x", "/v2/x", "/v2//health", "/v2/models/m/other", "/v2/models/m/versions",
        "/v2/models/m/versions/1/ready/x", "/v2/repository/models/m", "/v2/health", "/v2/models//infer",
        "/v2/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o"}) {
    EXPECT_EQ(status_of(Method::kGet, target), 404) << target;
  }
  for (const std::string_view target :
       {"/v2/models/m%/ready", "/v2/models/m%4/ready", "/v2/models/%zz/ready", "/v2/models/m/versions/0",
        "/v2/models/m/versions/-1/infer", "/v2/models/m/versions/1x", "/v2/models/m/versions/99999999999999999999"}) {
    EXPECT_EQ(status_of(Method::kGet, target), 400) << target;
  }
  EXPECT_EQ(status_of(Method::kGet, "/v2/models/m/infer"), 405);
  EXPECT_EQ(status_of(Method::kPost, "/v2/models/m/config"), 405);
  EXPECT_EQ(status_of(Method::kOther, "/v2"), 405);
}

}  // namespace
}  // namespace tessera::server::http
