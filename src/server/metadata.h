// What the server says about itself and its models, as plain values that both front ends write in their own format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/lifecycle.h"
#include "runtime/service.h"
#include "server/version.h"

namespace tessera::server {

struct ServerMetadata {
  std::string name;
  std::string version;
  std::vector<std::string> extensions;
};

struct TensorMetadata {
  std::string name;
  std::string datatype;
  std::vector<std::int64_t> shape;  // starts with -1 for the batch dimension where the model batches
};

struct ModelMetadata {
  std::string name;
  std::vector<std::string> versions;
  std::string platform;
  std::vector<TensorMetadata> inputs;
  std::vector<TensorMetadata> outputs;
};

ServerMetadata server_metadata();

// Error: kNotFound "Request for unknown model: ...".
Result<ModelMetadata> model_metadata(const runtime::Service& service, std::string_view model,
                                     std::optional<std::int64_t> version);
ModelMetadata model_metadata(const model::Instance& instance, const std::vector<std::int64_t>& versions);

// Whether a request for that version is taken: it serves, and the server neither drains nor has lost its device. The
// error text of a version that does not serve is kModelNotReady with kInvalidArgument.
bool model_ready(const runtime::Service& service, std::string_view model, std::optional<std::int64_t> version);
inline constexpr std::string_view kModelNotReady = "Model version not ready";

// Of one model, or of all (empty name). Error: kInvalidArgument "requested model 'X' is not available".
Result<std::vector<runtime::ModelStatistics>> model_statistics(const runtime::Service& service, std::string_view model,
                                                               std::optional<std::int64_t> version);

// The repository's index; with `ready` only what serves.
std::vector<model::IndexEntry> repository_index(runtime::Service& service, bool ready);

// Whether clients may load and unload. Error: kUnavailable in any control mode but explicit.
Status check_explicit_control(const runtime::Service& service);

}  // namespace tessera::server
