#include "server/metadata.h"

namespace tessera::server {
namespace {

std::vector<TensorMetadata> tensors(const std::vector<TensorSpec>& specs, bool batched) {
  std::vector<TensorMetadata> result;
  result.reserve(specs.size());
  for (const TensorSpec& spec : specs) {
    TensorMetadata tensor{spec.name, std::string(protocol_name(spec.dtype)), {}};
    if (batched) {
      tensor.shape.push_back(-1);
    }
    tensor.shape.insert(tensor.shape.end(), spec.shape.dims().begin(), spec.shape.dims().end());
    result.push_back(std::move(tensor));
  }
  return result;
}

}  // namespace

ServerMetadata server_metadata() {
  return {"tessera",
          TESSERA_VERSION,
          {"classification", "model_repository", "schedule_policy", "model_configuration", "system_shared_memory",
           "binary_tensor_data", "parameters", "statistics"}};
}

ModelMetadata model_metadata(const model::Instance& instance, const std::vector<std::int64_t>& versions) {
  ModelMetadata metadata;
  metadata.name = instance.name;
  metadata.platform = instance.config.platform;
  for (const std::int64_t version : versions) {
    metadata.versions.push_back(std::to_string(version));
  }
  const bool batched = instance.signature.max_batch_size > 0;
  metadata.inputs = tensors(instance.signature.inputs, batched);
  metadata.outputs = tensors(instance.signature.outputs, batched);
  return metadata;
}

Result<ModelMetadata> model_metadata(const runtime::Service& service, std::string_view model,
                                     std::optional<std::int64_t> version) {
  TESSERA_ASSIGN_OR_RETURN(const auto instance, service.find(model, version));
  return model_metadata(*instance, service.versions(model));
}

bool model_ready(const runtime::Service& service, std::string_view model, std::optional<std::int64_t> version) {
  return service.accepts() && service.find(model, version).ok();
}

Result<std::vector<runtime::ModelStatistics>> model_statistics(const runtime::Service& service, std::string_view model,
                                                               std::optional<std::int64_t> version) {
  if (model.empty()) {
    return service.statistics();
  }
  auto statistics = service.statistics(model, version);
  if (!statistics.ok() && statistics.error().code() == ErrorCode::kNotFound) {
    return invalid_argument("requested model '" + std::string(model) + "' is not available");
  }
  return statistics;
}

std::vector<model::IndexEntry> repository_index(runtime::Service& service, bool ready) {
  std::vector<model::IndexEntry> index = service.models().index();
  if (ready) {
    std::erase_if(index, [](const model::IndexEntry& entry) { return entry.state != "READY"; });
  }
  return index;
}

Status check_explicit_control(const runtime::Service& service) {
  if (service.control_mode() != model::ControlMode::kExplicit) {
    return unavailable("explicit model load / unload is not allowed if polling is enabled");
  }
  return ok_status();
}

}  // namespace tessera::server
