// Any bytes as a ModelInferRequest: the decoder stays inside them, and where protobuf reads the message too, both read
// the same. The first byte says in pieces of what size the message comes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "../unit/server_grpc/fake_memory.h"
#include "grpc_service.pb.h"

namespace {

using tessera::server::DecodedInfer;

void expect(bool condition) {
  if (!condition) std::abort();
}

void compare(const DecodedInfer& ours, const inference::ModelInferRequest& theirs) {
  expect(ours.request.model == theirs.model_name());
  expect(ours.request.id == theirs.id());
  expect(static_cast<int>(ours.request.inputs.size()) == theirs.inputs_size());
  expect(static_cast<int>(ours.request.outputs.size()) == theirs.outputs_size());
  int raw = 0;
  for (int i = 0; i < theirs.inputs_size(); ++i) {
    const auto& input = ours.request.inputs[static_cast<std::size_t>(i)];
    expect(input.name == theirs.inputs(i).name());
    expect(static_cast<int>(input.tensor.shape.rank()) == theirs.inputs(i).shape_size());
    if (raw < theirs.raw_input_contents_size()) {
      const std::string& bytes = theirs.raw_input_contents(raw++);
      expect(std::string(reinterpret_cast<const char*>(input.tensor.data.data()), input.tensor.data.size()) == bytes);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = data[0] == 0 ? size : data[0];
  const std::span<const std::byte> message = std::as_bytes(std::span(data, size)).subspan(1);
  std::vector<std::span<const std::byte>> pieces;
  for (auto rest = message; !rest.empty(); rest = rest.subspan(pieces.back().size())) {
    pieces.push_back(rest.first(std::min(piece, rest.size())));
  }
  tessera::server::FakeMemory memory;
  DecodedInfer decoded;
  if (!tessera::server::decode_infer(pieces, memory, decoded).ok()) return 0;
  inference::ModelInferRequest theirs;
  if (theirs.ParseFromArray(message.data(), static_cast<int>(message.size()))) compare(decoded, theirs);
  return 0;
}
