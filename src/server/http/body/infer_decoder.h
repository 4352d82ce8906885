// The body of an inference request, from bytes on the wire to an InferRequest: JSON alone, JSON with binary tensors
// behind it, or one raw tensor.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/request.h"
#include "core/tensor.h"
#include "server/http/body/infer_json.h"
#include "server/outputs.h"
#include "server/shared_memory.h"

namespace tessera::server::http {

// What the decoder needs from the server; a seam for tests. Outlives the decoder.
struct InferSource {
  Lease lease;                                        // charged to the request's model
  std::function<Result<ModelSignature>()> signature;  // of the request's model; asked for raw bodies alone
  const SharedMemory* shared_memory = nullptr;
};

struct BodyShape {
  std::optional<std::uint64_t> json_length;  // Inference-Header-Content-Length; 0: the body is one raw tensor
  std::optional<std::uint64_t> body_length;  // unknown for chunked and compressed bodies
  std::size_t max_bytes = 0;                 // of the body
};

// What of the answer's form the request asked for.
struct AnswerForm {
  std::vector<OutputOptions> outputs;
  bool binary_output = false;
};

// Bytes come either through feed(), which copies those of tensors, or are read from the socket into what gather() gave.
// Owned by one connection.
class InferDecoder {
 public:
  InferDecoder(const InferSource& source, const BodyShape& shape);
  ~InferDecoder();
  InferDecoder(const InferDecoder&) = delete;
  InferDecoder& operator=(const InferDecoder&) = delete;

  // The next bytes of the body. Errors: kInvalidArgument, kTooLarge; the lease's (kNotFound, kResourceExhausted).
  Status feed(std::span<const std::byte> bytes);

  // Where the next bytes belong, in order; gives how many entries were filled, none while JSON is awaited, the length
  // of the body is not known or nothing is missing. Errors as feed()'s.
  Result<std::size_t> gather(std::span<iovec> places);
  // So many bytes were read into them.
  Status arrived(std::size_t bytes);

  // How much JSON is missing before gather() has something to give; nothing where that is unknown.
  std::optional<std::uint64_t> json_missing() const;

  // The body is complete. What is valid goes into the result; model, version and arrival stay for the caller.
  Status finish(InferRequest& request, AnswerForm& form);

  // Bytes of tensors that feed() copied.
  std::uint64_t copied_tensor_bytes() const { return copied_; }

 private:
  enum class Phase { kJson, kTensors, kRaw };
  struct Segment {  // one binary input within the lease
    std::size_t offset = 0;
    std::size_t size = 0;
  };

  Status feed_json(std::string_view text);
  Status json_done();
  Status lay_out_tensors();
  Status copy_into_tensors(std::span<const std::byte> bytes);
  Status start_raw();
  Status finish_raw(InferRequest& request, AnswerForm& form);
  Status finish_input(JsonInput& input, std::size_t& segment, InputTensor& out);
  void keep(std::shared_ptr<const void> memory);

  const InferSource& source_;
  const BodyShape shape_;
  Phase phase_ = Phase::kJson;
  InferRequest parameters_;  // what the JSON's parameters set
  std::optional<InferJson> json_;
  std::uint64_t json_read_ = 0;
  bool json_complete_ = false;

  std::shared_ptr<runtime::BodyMemory> block_;
  std::vector<Segment> segments_;
  std::size_t current_ = 0;     // the segment that the next byte belongs to
  std::size_t in_current_ = 0;  // bytes of it that are there
  std::size_t arrived_ = 0;     // of all segments
  std::size_t announced_ = 0;

  std::optional<GrowingLease> raw_;
  ModelSignature raw_signature_;

  std::vector<std::shared_ptr<const void>> kept_;
  std::uint64_t copied_ = 0;
};

}  // namespace tessera::server::http
