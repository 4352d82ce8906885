// One inference over gRPC, whether it came alone or in a stream: from the message to the service and back.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "model/instance.h"
#include "runtime/service.h"
#include "server/grpc/backend.h"
#include "server/grpc/infer_encoder.h"

namespace tessera::server {

// Owned by the call it belongs to; used by one thread at a time, first the one that reads, then the one that answers.
class InferExchange : public runtime::InferCall {
 public:
  explicit InferExchange(Backend& backend);
  ~InferExchange() override;
  InferExchange(const InferExchange&) = delete;
  InferExchange& operator=(const InferExchange&) = delete;

 protected:
  Backend& backend() { return backend_; }

  // Fills `request`, the arrival included. The message is free to go afterwards.
  Status decode(const ::grpc::ByteBuffer& message);

  // Encodes the answer for `result`, which may turn out an error yet (an output that does not fit its shared memory).
  // Where the client asked to be told, a single call's answer is marked as the final one, a stream's as not.
  Status encode(Result<InferResponse> result, Envelope envelope, ::grpc::ByteBuffer& out);

  // See inference_error().
  Error named(const Error& error) const;

  // Whether the answer is followed by an empty one, and that one.
  bool wants_empty_final_response() const { return empty_final_response_; }
  void encode_empty_final(::grpc::ByteBuffer& out) const;

 private:
  Backend& backend_;
  std::vector<OutputOptions> outputs_;  // kept only where an output is more than its values
  // Where a classification needs it: found before the request runs, as the model may be gone when it has.
  std::shared_ptr<const model::Instance> instance_;
  bool empty_final_response_ = false;
};

}  // namespace tessera::server
