#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <string>
#include <utility>

#include "grpc_service.grpc.pb.h"
#include "model_config.pb.h"
#include "server/grpc/backend.h"
#include "server/grpc/infer_stream.h"
#include "server/grpc/infer_unary.h"
#include "server/grpc/services.h"
#include "server/grpc/to_grpc.h"
#include "server/metadata.h"

namespace tessera::server {
namespace {

using ::grpc::ByteBuffer;
using ::grpc::CallbackServerContext;
using ::grpc::ServerUnaryReactor;

// Answers at once.
template <typename Work>
ServerUnaryReactor* answer(CallbackServerContext* context, Work&& work) {
  ServerUnaryReactor* reactor = context->DefaultReactor();
  const Status status = work();
  reactor->Finish(to_grpc(status, context));
  return reactor;
}

ServerUnaryReactor* refuse(CallbackServerContext* context, std::string_view what) {
  return answer(context, [&]() -> Status { return unsupported(std::string(what)); });
}

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

// The generated service with each method as `Methods` say: First<Next<...Service>>.
template <template <class> class... Methods>
struct ServiceWith {
  using Type = inference::GRPCInferenceService::Service;
};
template <template <class> class First, template <class> class... Rest>
struct ServiceWith<First, Rest...> {
  using Type = First<typename ServiceWith<Rest...>::Type>;
};

using Methods = inference::GRPCInferenceService;
using ServiceBase = ServiceWith<
    Methods::WithRawCallbackMethod_ModelInfer, Methods::WithRawCallbackMethod_ModelStreamInfer,
    Methods::WithCallbackMethod_ServerLive, Methods::WithCallbackMethod_ServerReady,
    Methods::WithCallbackMethod_ModelReady, Methods::WithCallbackMethod_ServerMetadata,
    Methods::WithCallbackMethod_ModelMetadata, Methods::WithCallbackMethod_ModelConfig,
    Methods::WithCallbackMethod_ModelStatistics, Methods::WithCallbackMethod_RepositoryIndex,
    Methods::WithCallbackMethod_RepositoryModelLoad, Methods::WithCallbackMethod_RepositoryModelUnload,
    Methods::WithCallbackMethod_SystemSharedMemoryStatus, Methods::WithCallbackMethod_SystemSharedMemoryRegister,
    Methods::WithCallbackMethod_SystemSharedMemoryUnregister, Methods::WithCallbackMethod_CudaSharedMemoryStatus,
    Methods::WithCallbackMethod_CudaSharedMemoryRegister, Methods::WithCallbackMethod_CudaSharedMemoryUnregister,
    Methods::WithCallbackMethod_TraceSetting, Methods::WithCallbackMethod_LogSettings>::Type;

// Everything but inference is answered on the thread that took the call, from memory, but loading and unloading, which
// end on the loader thread. Stateless beside the backend; thread-safe.
class InferenceService final : public ServiceBase {
 public:
  InferenceService(Backend& backend, OpenStreams& streams) : backend_(backend), streams_(streams) {}

  // NOLINTBEGIN(readability-identifier-naming): names are those of the protocol

  ServerUnaryReactor* ModelInfer(CallbackServerContext* context, const ByteBuffer* request,
                                 ByteBuffer* response) override {
    return infer_unary(backend_, *context, *request, *response);
  }

  ::grpc::ServerBidiReactor<ByteBuffer, ByteBuffer>* ModelStreamInfer(CallbackServerContext* /*context*/) override {
    return infer_stream(backend_, streams_);
  }

  ServerUnaryReactor* ServerLive(CallbackServerContext* context, const inference::ServerLiveRequest* /*request*/,
                                 inference::ServerLiveResponse* response) override {
    return answer(context, [&] {
      response->set_live(service().live());
      return ok_status();
    });
  }

  ServerUnaryReactor* ServerReady(CallbackServerContext* context, const inference::ServerReadyRequest* /*request*/,
                                  inference::ServerReadyResponse* response) override {
    return answer(context, [&] {
      response->set_ready(service().ready());
      return ok_status();
    });
  }

  ServerUnaryReactor* ModelReady(CallbackServerContext* context, const inference::ModelReadyRequest* request,
                                 inference::ModelReadyResponse* response) override {
    return answer(context, [&]() -> Status {
      TESSERA_ASSIGN_OR_RETURN(const auto version, parse_version(request->version()));
      response->set_ready(model_ready(service(), request->name(), version));
      return ok_status();
    });
  }

  ServerUnaryReactor* ServerMetadata(CallbackServerContext* context,
                                     const inference::ServerMetadataRequest* /*request*/,
                                     inference::ServerMetadataResponse* response) override {
    return answer(context, [&] {
      const auto metadata = server_metadata();
      response->set_name(metadata.name);
      response->set_version(metadata.version);
      for (const std::string& extension : metadata.extensions) response->add_extensions(extension);
      return ok_status();
    });
  }

  ServerUnaryReactor* ModelMetadata(CallbackServerContext* context, const inference::ModelMetadataRequest* request,
                                    inference::ModelMetadataResponse* response) override {
    return answer(context, [&]() -> Status {
      TESSERA_ASSIGN_OR_RETURN(const auto version, parse_version(request->version()));
      TESSERA_ASSIGN_OR_RETURN(const auto metadata, model_metadata(service(), request->name(), version));
      response->set_name(metadata.name);
      response->set_platform(metadata.platform);
      for (const std::string& known : metadata.versions) response->add_versions(known);
      put(metadata.inputs, *response->mutable_inputs());
      put(metadata.outputs, *response->mutable_outputs());
      return ok_status();
    });
  }

  ServerUnaryReactor* ModelConfig(CallbackServerContext* context, const inference::ModelConfigRequest* request,
                                  inference::ModelConfigResponse* response) override {
    return answer(context, [&]() -> Status {
      TESSERA_ASSIGN_OR_RETURN(const auto version, parse_version(request->version()));
      TESSERA_ASSIGN_OR_RETURN(const auto instance, service().find(request->name(), version));
      *response->mutable_config() = *instance->config.proto;
      return ok_status();
    });
  }

  ServerUnaryReactor* ModelStatistics(CallbackServerContext* context, const inference::ModelStatisticsRequest* request,
                                      inference::ModelStatisticsResponse* response) override {
    return answer(context, [&]() -> Status {
      TESSERA_ASSIGN_OR_RETURN(const auto version, parse_version(request->version()));
      TESSERA_ASSIGN_OR_RETURN(const auto statistics, model_statistics(service(), request->name(), version));
      for (const auto& entry : statistics) put(entry, *response->add_model_stats());
      return ok_status();
    });
  }

  ServerUnaryReactor* RepositoryIndex(CallbackServerContext* context, const inference::RepositoryIndexRequest* request,
                                      inference::RepositoryIndexResponse* response) override {
    return answer(context, [&] {
      for (const model::IndexEntry& entry : repository_index(service(), request->ready())) {
        auto& model = *response->add_models();
        model.set_name(entry.name);
        model.set_version(entry.version);
        model.set_state(entry.state);
        model.set_reason(entry.reason);
      }
      return ok_status();
    });
  }

  ServerUnaryReactor* RepositoryModelLoad(CallbackServerContext* context,
                                          const inference::RepositoryModelLoadRequest* request,
                                          inference::RepositoryModelLoadResponse* /*response*/) override {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    const Status allowed = check_explicit_control(service());
    auto load = load_request(*request);
    if (!allowed.ok() || !load.ok()) {
      reactor->Finish(to_grpc(!allowed.ok() ? allowed.error() : load.error(), context));
    } else {
      service().models().load(std::move(*load), [reactor](const Status& status) { reactor->Finish(to_grpc(status)); });
    }
    return reactor;
  }

  ServerUnaryReactor* RepositoryModelUnload(CallbackServerContext* context,
                                            const inference::RepositoryModelUnloadRequest* request,
                                            inference::RepositoryModelUnloadResponse* /*response*/) override {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    if (const Status allowed = check_explicit_control(service()); !allowed.ok()) {
      reactor->Finish(to_grpc(allowed, context));
    } else {
      service().models().unload(request->model_name(),
                                [reactor](const Status& status) { reactor->Finish(to_grpc(status)); });
    }
    return reactor;
  }

  ServerUnaryReactor* SystemSharedMemoryStatus(CallbackServerContext* context,
                                               const inference::SystemSharedMemoryStatusRequest* request,
                                               inference::SystemSharedMemoryStatusResponse* response) override {
    return answer(context, [&]() -> Status {
      std::vector<SharedMemoryRegion> regions;
      if (request->name().empty()) {
        regions = backend_.shared_memory().status();
      } else {
        TESSERA_ASSIGN_OR_RETURN(regions, backend_.shared_memory().status(request->name()));
      }
      for (const SharedMemoryRegion& region : regions) {
        auto& entry = (*response->mutable_regions())[region.name];
        entry.set_name(region.name);
        entry.set_key(region.key);
        entry.set_offset(region.offset);
        entry.set_byte_size(region.byte_size);
      }
      return ok_status();
    });
  }

  ServerUnaryReactor* SystemSharedMemoryRegister(CallbackServerContext* context,
                                                 const inference::SystemSharedMemoryRegisterRequest* request,
                                                 inference::SystemSharedMemoryRegisterResponse* /*response*/) override {
    return answer(context, [&] {
      return backend_.shared_memory().register_region(request->name(), request->key(), request->offset(),
                                                      request->byte_size());
    });
  }

  ServerUnaryReactor* SystemSharedMemoryUnregister(
      CallbackServerContext* context, const inference::SystemSharedMemoryUnregisterRequest* request,
      inference::SystemSharedMemoryUnregisterResponse* /*response*/) override {
    return answer(context, [&] {
      if (request->name().empty()) {
        backend_.shared_memory().unregister_all();
      } else {
        backend_.shared_memory().unregister(request->name());
      }
      return ok_status();
    });
  }

  // There are no CUDA regions, so asking for all of them and forgetting some is fine: clients begin with that.
  ServerUnaryReactor* CudaSharedMemoryStatus(CallbackServerContext* context,
                                             const inference::CudaSharedMemoryStatusRequest* request,
                                             inference::CudaSharedMemoryStatusResponse* /*response*/) override {
    return answer(context, [&]() -> Status {
      if (request->name().empty()) return ok_status();
      return not_found("Unable to find cuda shared memory region: '" + request->name() + "'");
    });
  }

  ServerUnaryReactor* CudaSharedMemoryUnregister(CallbackServerContext* context,
                                                 const inference::CudaSharedMemoryUnregisterRequest* /*request*/,
                                                 inference::CudaSharedMemoryUnregisterResponse* /*response*/) override {
    return answer(context, [] { return ok_status(); });
  }

  ServerUnaryReactor* CudaSharedMemoryRegister(CallbackServerContext* context,
                                               const inference::CudaSharedMemoryRegisterRequest* /*request*/,
                                               inference::CudaSharedMemoryRegisterResponse* /*response*/) override {
    return refuse(context, "CUDA shared memory is not supported: use system shared memory");
  }

  ServerUnaryReactor* TraceSetting(CallbackServerContext* context, const inference::TraceSettingRequest* /*request*/,
                                   inference::TraceSettingResponse* /*response*/) override {
    return refuse(context, "traces are not supported: see the metrics for where requests spend their time");
  }

  ServerUnaryReactor* LogSettings(CallbackServerContext* context, const inference::LogSettingsRequest* /*request*/,
                                  inference::LogSettingsResponse* /*response*/) override {
    return refuse(context, "log settings do not change while the server runs: use --log-level and --log-format");
  }

  // NOLINTEND(readability-identifier-naming)

 private:
  runtime::Service& service() { return backend_.service(); }

  Backend& backend_;
  OpenStreams& streams_;
};

}  // namespace

std::unique_ptr<::grpc::Service> make_inference_service(Backend& backend, OpenStreams& streams) {
  return std::make_unique<InferenceService>(backend, streams);
}

}  // namespace tessera::server
