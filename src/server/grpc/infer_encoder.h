// From the outputs of a request to the bytes of a ModelInferResponse, without protobuf objects.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "server/outputs.h"

namespace grpc {
class ByteBuffer;
}

namespace tessera::server {

// Outputs from this size on are sent from where they lie; smaller ones are cheaper to copy than to track.
inline constexpr std::size_t kReferencedOutputBytes = 8192;

struct InferAnswer {
  std::string_view model;
  std::int64_t version = 0;
  std::string_view id;
  std::vector<FinishedOutput> outputs;
  std::shared_ptr<const void> memory;  // keeps the outputs' bytes alive until they are sent
  std::optional<bool> final_response;  // the parameter triton_final_response, where the client asked for it
};

enum class Envelope {
  kUnary,   // ModelInferResponse
  kStream,  // the same inside ModelStreamInferResponse
};

// Always raw_output_contents, one for each output (empty for those in shared memory), as clients count them.
void encode_answer(InferAnswer answer, Envelope envelope, ::grpc::ByteBuffer& out);

// A ModelStreamInferResponse that carries an error; `model` and `id` tell which request it answers.
void encode_stream_error(std::string_view message, std::string_view model, std::string_view id,
                         ::grpc::ByteBuffer& out);

}  // namespace tessera::server
