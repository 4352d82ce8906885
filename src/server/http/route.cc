#include "server/http/route.h"

#include <algorithm>
#include <vector>

#include "server/version.h"

namespace tessera::server::http {
namespace {

constexpr std::size_t kMaxSegments = 12;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return std::nullopt;
    }
    decoded.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return decoded;
}

using Segments = std::vector<std::string>;
using Found = std::optional<Route>;

Found model_route(const Segments& path, Refusal& refusal) {
  Route route;
  if (path.size() == 2) {
    route.endpoint = Endpoint::kModels;
    return route;
  }
  if (path.size() == 3 && path[2] == "stats") {
    route.endpoint = Endpoint::kAllStatistics;
    return route;
  }
  route.model = path[2];
  std::size_t at = 3;
  if (path.size() > 4 && path[3] == "versions") {
    auto version = parse_version(path[4]);
    if (!version.ok()) {
      refusal = {400, version.error().message()};
      return std::nullopt;
    }
    route.version = *version;
    at = 5;
  }
  if (path.size() == at) {
    route.endpoint = Endpoint::kModelMetadata;
    return route;
  }
  if (path.size() == at + 2 && at == 3 && path[3] == "trace" && path[4] == "setting") {
    route.endpoint = Endpoint::kTraceSetting;
    return route;
  }
  if (path.size() != at + 1) {
    return std::nullopt;
  }
  const std::string& action = path[at];
  if (action == "ready") {
    route.endpoint = Endpoint::kModelReady;
  } else if (action == "config") {
    route.endpoint = Endpoint::kModelConfig;
  } else if (action == "stats") {
    route.endpoint = Endpoint::kModelStatistics;
  } else if (action == "infer") {
    route.endpoint = Endpoint::kInfer;
  } else if (action == "generate" || action == "generate_stream") {
    route.endpoint = Endpoint::kGenerate;
  } else {
    return std::nullopt;
  }
  return route;
}

// .../index and .../models/M/{load,unload}; either may have the name of a repository in front.
Found repository_route(const Segments& path) {
  Route route;
  const std::size_t size = path.size();
  if ((size == 3 || size == 4) && path.back() == "index") {
    route.endpoint = Endpoint::kRepositoryIndex;
    return route;
  }
  if ((size != 5 && size != 6) || path[size - 3] != "models") {
    return std::nullopt;
  }
  route.model = path[size - 2];
  if (path.back() == "load") {
    route.endpoint = Endpoint::kRepositoryLoad;
  } else if (path.back() == "unload") {
    route.endpoint = Endpoint::kRepositoryUnload;
  } else {
    return std::nullopt;
  }
  return route;
}

Found shared_memory_route(const Segments& path, bool cuda) {
  Route route;
  route.cuda = cuda;
  if (path.size() == 5 && path[2] == "region") {
    route.region = path[3];
  } else if (path.size() != 3) {
    return std::nullopt;
  }
  const std::string& action = path.back();
  if (action == "status") {
    route.endpoint = Endpoint::kSharedMemoryStatus;
  } else if (action == "register" && !route.region.empty()) {
    route.endpoint = Endpoint::kSharedMemoryRegister;
  } else if (action == "unregister") {
    route.endpoint = Endpoint::kSharedMemoryUnregister;
  } else {
    return std::nullopt;
  }
  return route;
}

// v2/tessera/{policy,fit,devices} and v2/tessera/models/M/params: what no other server has.
Found own_route(const Segments& path) {
  Route route;
  if (path.size() == 3 && path[2] == "policy") {
    route.endpoint = Endpoint::kPolicy;
  } else if (path.size() == 3 && path[2] == "fit") {
    route.endpoint = Endpoint::kFit;
  } else if (path.size() == 3 && path[2] == "devices") {
    route.endpoint = Endpoint::kDevices;
  } else if (path.size() == 5 && path[2] == "models" && path[4] == "params") {
    route.endpoint = Endpoint::kParams;
    route.model = path[3];
  } else {
    return std::nullopt;
  }
  return route;
}

Found plain_route(const Segments& path) {
  Route route;
  if (path.size() == 1) {
    route.endpoint = Endpoint::kServerMetadata;
  } else if (path.size() == 3 && path[1] == "health" && path[2] == "live") {
    route.endpoint = Endpoint::kLive;
  } else if (path.size() == 3 && path[1] == "health" && path[2] == "ready") {
    route.endpoint = Endpoint::kReady;
  } else if (path.size() == 3 && path[1] == "trace" && path[2] == "setting") {
    route.endpoint = Endpoint::kTraceSetting;
  } else if (path.size() == 2 && path[1] == "logging") {
    route.endpoint = Endpoint::kLogging;
  } else {
    return std::nullopt;
  }
  return route;
}

constexpr std::string_view kReading = "GET, HEAD";
constexpr std::string_view kWriting = "POST";
constexpr std::string_view kBoth = "GET, HEAD, POST";

std::string_view allowed_methods(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::kInfer:
    case Endpoint::kGenerate:
    case Endpoint::kRepositoryIndex:
    case Endpoint::kRepositoryLoad:
    case Endpoint::kRepositoryUnload:
    case Endpoint::kSharedMemoryRegister:
    case Endpoint::kSharedMemoryUnregister:
    case Endpoint::kFit:
      return kWriting;
    case Endpoint::kTraceSetting:
    case Endpoint::kLogging:
    case Endpoint::kParams:
    case Endpoint::kPolicy:
    case Endpoint::kDevices:
      return kBoth;
    default:
      return kReading;
  }
}

bool allows(Endpoint endpoint, Method method) {
  const std::string_view methods = allowed_methods(endpoint);
  const bool reads = method == Method::kGet || method == Method::kHead;
  return (reads && methods != kWriting) || (method == Method::kPost && methods != kReading);
}

// "/v2/models/M/infer" without escapes: the path of nearly all requests, found without taking it apart.
std::optional<std::string_view> plain_infer_model(std::string_view target) {
  constexpr std::string_view kFront = "/v2/models/";
  constexpr std::string_view kBack = "/infer";
  if (target.size() <= kFront.size() + kBack.size() || target.substr(0, kFront.size()) != kFront ||
      target.substr(target.size() - kBack.size()) != kBack) {
    return std::nullopt;
  }
  const std::string_view model = target.substr(kFront.size(), target.size() - kFront.size() - kBack.size());
  return model.find_first_of("/%?#") == std::string_view::npos ? std::optional(model) : std::nullopt;
}

}  // namespace

std::variant<Route, Refusal> find_route(Method method, std::string_view target) {
  if (const auto model = plain_infer_model(target); model && method == Method::kPost) {
    Route route;
    route.endpoint = Endpoint::kInfer;
    route.model = *model;
    return route;
  }
  const Refusal unknown{404, "Not Found"};
  target = target.substr(0, target.find_first_of("?#"));
  if (target.empty() || target.front() != '/') {
    return unknown;
  }
  if (target.size() > 1 && target.back() == '/') {
    target.remove_suffix(1);
  }
  Segments path;
  while (!target.empty()) {
    target.remove_prefix(1);
    const auto slash = std::min(target.find('/'), target.size());
    auto segment = percent_decoded(target.substr(0, slash));
    if (!segment) {
      return Refusal{400, "malformed escape in the request's path"};
    }
    if (segment->empty() || path.size() == kMaxSegments) {
      return unknown;
    }
    path.push_back(std::move(*segment));
    target.remove_prefix(slash);
  }
  if (path.empty() || path[0] != "v2") {
    return unknown;
  }
  Refusal refusal = unknown;
  Found found;
  if (path.size() > 1 && path[1] == "models") {
    found = model_route(path, refusal);
  } else if (path.size() > 1 && path[1] == "repository") {
    found = repository_route(path);
  } else if (path.size() > 1 && (path[1] == "systemsharedmemory" || path[1] == "cudasharedmemory")) {
    found = shared_memory_route(path, path[1] == "cudasharedmemory");
  } else if (path.size() > 1 && path[1] == "tessera") {
    found = own_route(path);
  } else {
    found = plain_route(path);
  }
  if (!found) {
    return refusal;
  }
  if (!allows(found->endpoint, method)) {
    return Refusal{405, "Method Not Allowed", allowed_methods(found->endpoint)};
  }
  return *std::move(found);
}

}  // namespace tessera::server::http
