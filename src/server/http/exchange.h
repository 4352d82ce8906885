// One request of a connection and its answer: what is needed while it lasts, and recycled afterwards.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "server/http/answer_text.h"
#include "server/http/backend.h"
#include "server/http/body/content_coding.h"
#include "server/http/body/infer_decoder.h"
#include "server/http/infer_call.h"
#include "server/http/outgoing.h"
#include "server/http/request_head.h"
#include "server/http/route.h"

namespace tessera::server::http {

// Takes the payload of the body (without chunk framing) and makes the request of it. Owned by one connection.
class Exchange {
 public:
  // `unpacking` is room for pieces of compressed bodies, shared by the connections of a thread.
  Exchange(Backend& backend, std::size_t max_body, std::span<std::byte> unpacking)
      : backend_(backend), max_body_(max_body), unpacking_(unpacking) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Begins with a new request; `head_text` is the text that `parsed` came from.
  void start(const RequestHead& parsed, Route where, std::string_view head_text);
  void reset();

  // The next payload. Errors are the request's.
  Status payload(std::span<const std::byte> bytes);
  // Chunked bodies: returns how much of `text` was used; done() then says whether it was the end.
  Result<std::size_t> chunked_text(std::string_view text);
  bool chunks_done() const { return chunks_->done(); }

  // Places that payload may be read into directly; none: it goes through payload().
  Result<std::size_t> gather(std::span<iovec> places);
  Status arrived(std::size_t bytes) { return decoder_->arrived(bytes); }
  // At most so many bytes should be given to payload() before gather() is asked again.
  std::uint64_t next_payload(std::uint64_t wanted) const;

  // The body is complete.
  Status finish_inference(InferenceCall& call);
  Result<std::string> finish_control();
  // Tensor bytes that were copied in user space since start().
  std::uint64_t copied_tensor_bytes() const { return decoder_ ? decoder_->copied_tensor_bytes() : 0; }

  RequestHead head;  // `target` is not valid any more
  Route route;
  std::uint64_t body_left = 0;          // of a body with a length
  std::optional<Answer> refusal;        // the answer is clear, the rest of the body is only skipped
  std::shared_ptr<InferenceCall> call;  // in flight
  std::vector<FinishedOutput> outputs;  // of the answer
  AnswerHead answer;
  Outgoing out;
  std::unique_ptr<Deflater> packer;  // while the answer is being packed
  std::string packed;
  std::size_t packed_from = 0;  // bytes of the body that are packed

 private:
  Status unpack(std::span<const std::byte> bytes);
  Status unpacked_payload(std::span<const std::byte> bytes);
  Status check_complete() const;

  Backend& backend_;
  const std::size_t max_body_;
  const std::span<std::byte> unpacking_;
  InferSource source_;
  std::optional<InferDecoder> decoder_;
  std::string control_body_;
  std::uint64_t received_ = 0;  // payload bytes, packed where the body is
  std::optional<Inflater> inflater_;
  std::optional<ChunkedBody> chunks_;
};

}  // namespace tessera::server::http
