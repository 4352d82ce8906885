#include "client/grpc/grpc_target.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "base/affinity.h"
#include "base/check.h"
#include "base/clock.h"
#include "grpc_service.pb.h"
#include "loadgen/random.h"

namespace tessera::client {
namespace {

constexpr const char* kService = "/inference.GRPCInferenceService/";
constexpr std::size_t kMostChannels = 16;
constexpr std::chrono::seconds kMetadataTime{10};

grpc::ByteBuffer buffer_of(const google::protobuf::MessageLite& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return {&slice, 1};
}

std::shared_ptr<grpc::Channel> channel_to(const Endpoint& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(endpoint.address(), grpc::InsecureChannelCredentials(), arguments);
}

std::string text_of(const grpc::Status& status) {
  return "gRPC " + std::to_string(status.error_code()) + ": " + status.error_message();
}

Result<ModelFacts> facts_of(const inference::ModelMetadataResponse& metadata, const std::string& model) {
  ModelFacts out{model, {}};
  for (const auto& input : metadata.inputs()) {
    const auto dtype = dtype_from_protocol_name(input.datatype());
    if (!dtype) {
      return unsupported("model '" + model + "': input '" + input.name() + "' has the unknown type '" +
                         input.datatype() + "'");
    }
    const auto shape = Shape::from({input.shape().data(), static_cast<std::size_t>(input.shape_size())});
    if (!shape.ok()) {
      return shape.error().in("model '" + model + "'");
    }
    out.inputs.push_back({input.name(), *dtype, *shape});
  }
  return out;
}

inference::ModelInferRequest request_of(const std::string& model, const std::vector<InputData>& inputs) {
  inference::ModelInferRequest out;
  out.set_model_name(model);
  for (const InputData& input : inputs) {
    auto& one = *out.add_inputs();
    one.set_name(input.name);
    one.set_datatype(std::string(protocol_name(input.dtype)));
    for (const std::int64_t dim : input.shape.dims()) {
      one.add_shape(dim);
    }
    out.add_raw_input_contents(reinterpret_cast<const char*>(input.bytes.data()), input.bytes.size());
  }
  return out;
}

}  // namespace

// The calls on their way, and the thread that takes their answers.
class GrpcTarget::Calls {
 public:
  Calls(const Endpoint& endpoint, std::size_t channels, loadgen::Inbox& inbox) : inbox_(inbox) {
    for (std::size_t i = 0; i < channels; ++i) {
      channels_.push_back(channel_to(endpoint));
      stubs_.push_back(std::make_unique<grpc::GenericStub>(channels_.back()));
    }
    taker_ = std::thread([this] { take(); });
  }
  ~Calls() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (Call* call : open_) {
        call->context.TryCancel();
      }
    }
    queue_.Shutdown();
    taker_.join();
  }
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  std::size_t add(grpc::ByteBuffer message) {
    messages_.push_back(std::move(message));
    return messages_.size() - 1;
  }

  void send(std::size_t tenant, std::size_t message, std::uint64_t number) {
    auto* call = new Call;  // NOLINT(cppcoreguidelines-owning-memory): the queue's, until take()
    call->number = number;
    call->channel = tenant % channels_.size();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      open_.insert(call);
    }
    call->rpc = stubs_[call->channel]->PrepareUnaryCall(&call->context, std::string(kService) + "ModelInfer",
                                                        messages_[message], &queue_);
    call->rpc->StartCall();
    call->rpc->Finish(&call->answer, &call->status, call);
  }

  // A call whose answer is waited for.
  template <typename Answer>
  Status ask(const char* method, const google::protobuf::MessageLite& message, Answer& answer) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kMetadataTime);
    context.set_wait_for_ready(false);
    grpc::CompletionQueue queue;
    const auto rpc =
        stubs_.front()->PrepareUnaryCall(&context, std::string(kService) + method, buffer_of(message), &queue);
    grpc::ByteBuffer bytes;
    grpc::Status status;
    rpc->StartCall();
    rpc->Finish(&bytes, &status, &queue);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    queue.Shutdown();
    if (!status.ok()) {
      return unavailable(text_of(status));
    }
    grpc::Slice slice;
    const bool read =
        bytes.DumpToSingleSlice(&slice).ok() && answer.ParseFromArray(slice.begin(), static_cast<int>(slice.size()));
    return read ? ok_status() : Status(unavailable(std::string("the answer to ") + method + " is no such message"));
  }

 private:
  struct Call {
    std::uint64_t number = 0;
    std::size_t channel = 0;
    grpc::ClientContext context;
    grpc::ByteBuffer answer;
    grpc::Status status;
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> rpc;
  };

  void take() {
    name_this_thread("load-grpc");
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
      const TimePoint at = now();
      const std::unique_ptr<Call> call(static_cast<Call*>(tag));
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        open_.erase(call.get());
      }
      inbox_.push(answer_of(*call, at));
    }
  }

  loadgen::Answer answer_of(const Call& call, TimePoint at) const {
    loadgen::Answer answer;
    answer.number = call.number;
    answer.at = at;
    if (!call.status.ok()) {
      // gRPC says UNAVAILABLE of a connection that broke, too.
      const bool there = channels_[call.channel]->GetState(false) == GRPC_CHANNEL_READY;
      const bool rejected = there && call.status.error_code() == grpc::StatusCode::UNAVAILABLE;
      answer.kind = rejected ? loadgen::Answer::Kind::kRejected : loadgen::Answer::Kind::kFailed;
      answer.text = rejected ? std::string() : text_of(call.status);
    }
    return answer;
  }

  loadgen::Inbox& inbox_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  std::vector<grpc::ByteBuffer> messages_;
  grpc::CompletionQueue queue_;
  std::mutex mutex_;
  std::unordered_set<Call*> open_;  // guarded by mutex_
  std::thread taker_;
};

GrpcTarget::GrpcTarget(const Endpoint& endpoint, RequestOptions options)
    : options_(std::move(options)),
      calls_(
          std::make_unique<Calls>(endpoint, std::clamp<std::size_t>(options_.models.size(), 1, kMostChannels), inbox_)),
      ready_(options_.models.size()) {}

GrpcTarget::~GrpcTarget() = default;

Result<std::unique_ptr<GrpcTarget>> GrpcTarget::create(const Endpoint& endpoint, RequestOptions options) {
  std::unique_ptr<GrpcTarget> out(new GrpcTarget(endpoint, std::move(options)));
  inference::ServerLiveResponse live;
  if (const Status status = out->calls_->ask("ServerLive", inference::ServerLiveRequest(), live); !status.ok()) {
    return status.error().in(endpoint.address());
  }
  return out;
}

Result<const ModelFacts*> GrpcTarget::facts(const std::string& model) {
  const auto known = facts_.find(model);
  if (known != facts_.end()) {
    return &known->second;
  }
  inference::ModelMetadataRequest request;
  request.set_name(model);
  inference::ModelMetadataResponse metadata;
  if (const Status status = calls_->ask("ModelMetadata", request, metadata); !status.ok()) {
    return status.error().in("model '" + model + "'");
  }
  TESSERA_ASSIGN_OR_RETURN(ModelFacts found, facts_of(metadata, model));
  return &facts_.emplace(model, std::move(found)).first->second;
}

Status GrpcTarget::prepare(std::size_t tenant, std::int32_t rows) {
  const std::string& model = options_.models[tenant];
  auto kind = kinds_.find({model, rows});
  if (kind == kinds_.end()) {
    TESSERA_ASSIGN_OR_RETURN(const ModelFacts* known, facts(model));
    TESSERA_ASSIGN_OR_RETURN(const auto inputs,
                             make_inputs(*known, options_.shapes, rows, loadgen::seed_of(options_.seed, tenant)));
    kind = kinds_.emplace(std::pair(model, rows), calls_->add(buffer_of(request_of(model, inputs)))).first;
  }
  ready_[tenant][rows] = kind->second;
  return ok_status();
}

bool GrpcTarget::send(std::size_t tenant, std::int32_t rows, std::uint64_t number) {
  const auto message = ready_[tenant].find(rows);
  TESSERA_CHECK(message != ready_[tenant].end());
  calls_->send(tenant, message->second, number);
  return true;
}

}  // namespace tessera::client
