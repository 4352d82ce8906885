#include "server/grpc/infer_exchange.h"

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "server/status.h"

namespace tessera::server {
namespace {

std::span<const std::byte> span_of(const ::grpc::Slice& slice) {
  return {reinterpret_cast<const std::byte*>(slice.begin()), slice.size()};
}

// The pieces of a received message, valid while this lives.
class MessageSpans {
 public:
  explicit MessageSpans(const ::grpc::ByteBuffer& message) {
    if (message.TrySingleSlice(&single_).ok()) {
      spans_.push_back(span_of(single_));
      return;
    }
    valid_ = message.Dump(&slices_).ok();
    spans_.reserve(slices_.size());
    for (const ::grpc::Slice& slice : slices_) spans_.push_back(span_of(slice));
  }

  bool valid() const { return valid_; }
  std::span<const std::span<const std::byte>> spans() const { return spans_; }

 private:
  ::grpc::Slice single_;
  std::vector<::grpc::Slice> slices_;
  std::vector<std::span<const std::byte>> spans_;
  bool valid_ = true;
};

}  // namespace

InferExchange::InferExchange(Backend& backend) : backend_(backend) {
  backend_.open_inferences.fetch_add(1, std::memory_order_relaxed);
}

InferExchange::~InferExchange() { backend_.open_inferences.fetch_sub(1, std::memory_order_relaxed); }

Status InferExchange::decode(const ::grpc::ByteBuffer& message) {
  const TimePoint arrival = now();
  const MessageSpans pieces(message);
  if (!pieces.valid()) return invalid_argument("the message could not be read, is it compressed in an unknown way?");
  DecodedInfer decoded;
  Status status = decode_infer(pieces.spans(), backend_, decoded);
  request = std::move(decoded.request);
  request.arrival = arrival;
  if (!status.ok()) return status;
  empty_final_response_ = decoded.empty_final_response;
  if (decoded.copied.value > 0) backend_.service().count_copied(decoded.copied);
  for (const OutputOptions& output : decoded.outputs) {
    if (output.classification == 0 && !output.shared_memory) continue;
    if (output.classification > 0 && !instance_) {
      TESSERA_ASSIGN_OR_RETURN(instance_, backend_.service().find(request.model, request.version));
    }
    outputs_.push_back(output);
  }
  return ok_status();
}

Status InferExchange::encode(Result<InferResponse> result, Envelope envelope, ::grpc::ByteBuffer& out) {
  if (!result.ok()) return result.error();
  InferResponse& response = *result;
  InferAnswer answer;
  TESSERA_ASSIGN_OR_RETURN(answer.outputs,
                           finish_outputs(response, outputs_, instance_.get(), backend_.shared_memory()));
  answer.model = response.model;
  answer.version = response.version;
  answer.id = request.id;
  answer.memory = response.memory;
  // Nothing follows the answer of a single call: clients that count final ones would wait for ever.
  if (empty_final_response_) answer.final_response = envelope == Envelope::kUnary;
  encode_answer(std::move(answer), envelope, out);
  return ok_status();
}

Error InferExchange::named(const Error& error) const { return inference_error(error, request.id); }

void InferExchange::encode_empty_final(::grpc::ByteBuffer& out) const {
  InferAnswer answer;
  answer.model = request.model;
  answer.version = request.version.value_or(0);
  answer.id = request.id;
  answer.final_response = true;
  encode_answer(std::move(answer), Envelope::kStream, out);
}

}  // namespace tessera::server
