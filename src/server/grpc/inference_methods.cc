#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grpc_service.pb.h"
#include "model_config.pb.h"
#include "server/grpc/backend.h"
#include "server/grpc/infer_stream.h"
#include "server/grpc/infer_unary.h"
#include "server/grpc/methods.h"
#include "server/metadata.h"

namespace tessera::server {
namespace {

void put(const runtime::CountAndTime& from, inference::StatisticDuration& to) {
  to.set_count(from.count);
  to.set_ns(static_cast<std::uint64_t>(from.total.count()));
}

void put(const runtime::ModelStatistics& from, inference::ModelStatistics& to) {
  to.set_name(from.model);
  to.set_version(std::to_string(from.version));
  to.set_last_inference(from.last_inference_ms);
  to.set_inference_count(from.inference_count);
  to.set_execution_count(from.execution_count);
  inference::InferStatistics& stats = *to.mutable_inference_stats();
  put(from.success, *stats.mutable_success());
  put(from.fail, *stats.mutable_fail());
  put(from.queue, *stats.mutable_queue());
  put(from.compute_input, *stats.mutable_compute_input());
  put(from.compute_infer, *stats.mutable_compute_infer());
  put(from.compute_output, *stats.mutable_compute_output());
  stats.mutable_cache_hit();  // there is no response cache, and clients look for both
  stats.mutable_cache_miss();
  for (const auto& [size, batch] : from.batches) {
    inference::InferBatchStatistics& entry = *to.add_batch_stats();
    entry.set_batch_size(static_cast<std::uint64_t>(size));
    put(batch.compute_input, *entry.mutable_compute_input());
    put(batch.compute_infer, *entry.mutable_compute_infer());
    put(batch.compute_output, *entry.mutable_compute_output());
  }
}

template <typename Tensors>
void put(const std::vector<TensorMetadata>& from, Tensors& to) {
  for (const TensorMetadata& tensor : from) {
    auto& entry = *to.Add();
    entry.set_name(tensor.name);
    entry.set_datatype(tensor.datatype);
    for (const std::int64_t dim : tensor.shape) entry.add_shape(dim);
  }
}

// The parameters of a load: "config" and "file:<version>/<name>". Others are somebody's extension and ignored.
Result<model::LoadRequest> load_request(const inference::RepositoryModelLoadRequest& message) {
  constexpr std::string_view kFile = "file:";
  model::LoadRequest load;
  load.name = message.model_name();
  for (const auto& [key, value] : message.parameters()) {
    if (key == "config") {
      if (value.parameter_choice_case() != inference::ModelRepositoryParameter::kStringParam) {
        return invalid_argument("parameter 'config' must be a string");
      }
      load.config_json = value.string_param();
    } else if (key.compare(0, kFile.size(), kFile) == 0) {
      if (value.parameter_choice_case() != inference::ModelRepositoryParameter::kBytesParam) {
        return invalid_argument("parameter '" + key + "' must be bytes");
      }
      load.files.emplace(key.substr(kFile.size()), value.bytes_param());
    }
  }
  return load;
}

using namespace inference;  // NOLINT(google-build-using-namespace): the messages of the protocol

constexpr std::string_view kService = "/inference.GRPCInferenceService/";

std::string path(std::string_view method) { return std::string(kService) + std::string(method); }

// What a peer may ask about the server and its models.
void add_information(MethodTable& table, Backend& backend) {
  runtime::Service& service = backend.service();
  table.add_message<ServerLiveRequest, ServerLiveResponse>(path("ServerLive"), [&service](const auto&, auto& response) {
    response.set_live(service.live());
    return ok_status();
  });
  table.add_message<ServerReadyRequest, ServerReadyResponse>(path("ServerReady"),
                                                             [&service](const auto&, auto& response) {
                                                               response.set_ready(service.ready());
                                                               return ok_status();
                                                             });
  table.add_message<ModelReadyRequest, ModelReadyResponse>(
      path("ModelReady"), [&service](const auto& request, auto& response) -> Status {
        TESSERA_ASSIGN_OR_RETURN(const auto version, parse_version(request.version()));
        response.set_ready(model_ready(service, request.name(), version));
        return ok_status();
      });
  table.add_message<ServerMetadataRequest, ServerMetadataResponse>(
      path("ServerMetadata"), [](const auto&, auto& response) {
        const ServerMetadata metadata = server_metadata();
        response.set_name(metadata.name);
        response.set_version(metadata.version);
        for (const std::string& extension : metadata.extensions) response.add_extensions(extension);
        return ok_status();
      });
  table.add_message<ModelMetadataRequest, ModelMetadataResponse>(
      path("ModelMetadata"), [&service](const auto& request, auto& response) -> Status {
        TESSERA_ASSIGN_OR_RETURN(const auto version, parse_version(request.version()));
        TESSERA_ASSIGN_OR_RETURN(const auto metadata, model_metadata(service, request.name(), version));
        response.set_name(metadata.name);
        response.set_platform(metadata.platform);
        for (const std::string& known : metadata.versions) response.add_versions(known);
        put(metadata.inputs, *response.mutable_inputs());
        put(metadata.outputs, *response.mutable_outputs());
        return ok_status();
      });
  table.add_message<ModelConfigRequest, ModelConfigResponse>(
      path("ModelConfig"), [&service](const auto& request, auto& response) -> Status {
        TESSERA_ASSIGN_OR_RETURN(const auto version, parse_version(request.version()));
        TESSERA_ASSIGN_OR_RETURN(const auto config, service.config(request.name(), version));
        *response.mutable_config() = *config;
        return ok_status();
      });
  table.add_message<ModelStatisticsRequest, ModelStatisticsResponse>(
      path("ModelStatistics"), [&service](const auto& request, auto& response) -> Status {
        TESSERA_ASSIGN_OR_RETURN(const auto version, parse_version(request.version()));
        TESSERA_ASSIGN_OR_RETURN(const auto statistics, model_statistics(service, request.name(), version));
        for (const auto& entry : statistics) put(entry, *response.add_model_stats());
        return ok_status();
      });
}

void add_repository(MethodTable& table, Backend& backend, HelperThread& helper) {
  runtime::Service& service = backend.service();
  table.add_later<RepositoryIndexRequest, RepositoryIndexResponse>(
      path("RepositoryIndex"), [&service, &helper](const auto& request, auto& response, auto finish) {
        // finish() keeps request and response.
        const bool taken = helper.post([&service, &request, &response, finish] {
          for (const model::IndexEntry& entry : repository_index(service, request.ready())) {
            auto& model = *response.add_models();
            model.set_name(entry.name);
            model.set_version(entry.version);
            model.set_state(entry.state);
            model.set_reason(entry.reason);
          }
          finish(ok_status());
        });
        if (!taken) {
          finish(Error(ErrorCode::kResourceExhausted, "too many calls that look through folders wait"));
        }
      });
  table.add_later<RepositoryModelLoadRequest, RepositoryModelLoadResponse>(
      path("RepositoryModelLoad"), [&service](const auto& request, auto&, auto finish) {
        auto load = load_request(request);
        if (const Status allowed = check_explicit_control(service); !allowed.ok()) {
          finish(allowed);
        } else if (!load.ok()) {
          finish(load.error());
        } else {
          service.models().load(std::move(*load), finish);
        }
      });
  table.add_later<RepositoryModelUnloadRequest, RepositoryModelUnloadResponse>(
      path("RepositoryModelUnload"), [&service](const auto& request, auto&, auto finish) {
        if (const Status allowed = check_explicit_control(service); !allowed.ok()) {
          finish(allowed);
        } else {
          service.models().unload(request.model_name(), finish);
        }
      });
}

void add_system_shared_memory(MethodTable& table, Backend& backend) {
  SharedMemory& memory = backend.shared_memory();
  table.add_message<SystemSharedMemoryStatusRequest, SystemSharedMemoryStatusResponse>(
      path("SystemSharedMemoryStatus"), [&memory](const auto& request, auto& response) -> Status {
        std::vector<SharedMemoryRegion> regions;
        if (request.name().empty()) {
          regions = memory.status();
        } else {
          TESSERA_ASSIGN_OR_RETURN(regions, memory.status(request.name()));
        }
        for (const SharedMemoryRegion& region : regions) {
          auto& entry = (*response.mutable_regions())[region.name];
          entry.set_name(region.name);
          entry.set_key(region.key);
          entry.set_offset(region.offset);
          entry.set_byte_size(region.byte_size);
        }
        return ok_status();
      });
  table.add_message<SystemSharedMemoryRegisterRequest, SystemSharedMemoryRegisterResponse>(
      path("SystemSharedMemoryRegister"), [&memory](const auto& request, auto&) {
        return memory.register_region(request.name(), request.key(), request.offset(), request.byte_size());
      });
  table.add_message<SystemSharedMemoryUnregisterRequest, SystemSharedMemoryUnregisterResponse>(
      path("SystemSharedMemoryUnregister"), [&memory](const auto& request, auto&) {
        if (request.name().empty()) {
          memory.unregister_all();
        } else {
          memory.unregister(request.name());
        }
        return ok_status();
      });
}

// There are no CUDA regions, so asking for all of them and forgetting some is fine: clients begin with that.
void add_cuda_shared_memory(MethodTable& table) {
  table.add_message<CudaSharedMemoryStatusRequest, CudaSharedMemoryStatusResponse>(
      path("CudaSharedMemoryStatus"), [](const auto& request, auto&) -> Status {
        if (request.name().empty()) return ok_status();
        return not_found("Unable to find cuda shared memory region: '" + request.name() + "'");
      });
  table.add_message<CudaSharedMemoryUnregisterRequest, CudaSharedMemoryUnregisterResponse>(
      path("CudaSharedMemoryUnregister"), [](const auto&, auto&) { return ok_status(); });
}

template <typename Request, typename Response>
void refuse(MethodTable& table, std::string_view method, const std::string& why) {
  table.add_message<Request, Response>(path(method), [why](const auto&, auto&) -> Status { return unsupported(why); });
}

}  // namespace

void add_inference_methods(MethodTable& table, Backend& backend, OpenStreams& streams, HelperThread& helper) {
  table.add(path("ModelInfer"),
            [&backend](std::shared_ptr<Rpc> rpc) { return make_infer_unary(backend, std::move(rpc)); });
  table.add(path("ModelStreamInfer"), [&backend, &streams](std::shared_ptr<Rpc> rpc) {
    return make_infer_stream(backend, streams, std::move(rpc));
  });
  add_information(table, backend);
  add_repository(table, backend, helper);
  add_system_shared_memory(table, backend);
  add_cuda_shared_memory(table);
  refuse<CudaSharedMemoryRegisterRequest, CudaSharedMemoryRegisterResponse>(
      table, "CudaSharedMemoryRegister", "CUDA shared memory is not supported: use system shared memory");
  refuse<TraceSettingRequest, TraceSettingResponse>(
      table, "TraceSetting", "traces are not supported: see the metrics for where requests spend their time");
  refuse<LogSettingsRequest, LogSettingsResponse>(
      table, "LogSettings", "log settings do not change while the server runs: use --log-level and --log-format");
}

}  // namespace tessera::server
