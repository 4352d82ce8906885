// Which endpoint a request is for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "server/http/request_head.h"

namespace tessera::server::http {

enum class Endpoint {
  kServerMetadata,
  kLive,
  kReady,
  kModels,
  kAllStatistics,
  kModelMetadata,
  kModelReady,
  kModelConfig,
  kModelStatistics,
  kInfer,
  kGenerate,
  kRepositoryIndex,
  kRepositoryLoad,
  kRepositoryUnload,
  kSharedMemoryStatus,
  kSharedMemoryRegister,
  kSharedMemoryUnregister,
  kTraceSetting,
  kLogging,
  kParams,  // ours: v2/tessera/...
  kPolicy,
  kFit,
  kDevices,
};

struct Route {
  Endpoint endpoint = Endpoint::kServerMetadata;
  std::string model;  // of models and repository endpoints
  std::optional<std::int64_t> version;
  std::string region;  // of shared memory; empty: all
  bool cuda = false;   // cudasharedmemory
};

// Error: 404 for paths that do not exist, 405 for another method than the endpoint's, 400 for bad escapes and versions.
std::variant<Route, Refusal> find_route(Method method, std::string_view target);

}  // namespace tessera::server::http
