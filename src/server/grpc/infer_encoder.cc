#include "server/grpc/infer_encoder.h"

#include <google/protobuf/io/coded_stream.h>
#include <grpc/slice.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstring>
#include <string>
#include <utility>

#include "base/check.h"

namespace tessera::server {
namespace {

using google::protobuf::io::CodedOutputStream;

// Writes protobuf fields to memory that is large enough, or only counts the bytes where it has no memory.
class Writer {
 public:
  Writer() = default;
  explicit Writer(std::uint8_t* out) : out_(out) {}

  std::size_t size() const { return size_; }

  void varint(std::uint64_t value) {
    if (out_ != nullptr) CodedOutputStream::WriteVarint64ToArray(value, out_ + size_);
    size_ += CodedOutputStream::VarintSize64(value);
  }

  void bytes(const void* data, std::size_t size) {
    if (out_ != nullptr && size > 0) std::memcpy(out_ + size_, data, size);
    size_ += size;
  }

  void varint_field(std::uint32_t field, std::uint64_t value) {
    varint(field << 3);
    varint(value);
  }

  // The head of a length-delimited field, of which the content follows.
  void head(std::uint32_t field, std::size_t length) {
    varint((field << 3) | 2);
    varint(length);
  }

  // As proto3 does, nothing for an empty text.
  void text(std::uint32_t field, std::string_view value) {
    if (value.empty()) return;
    head(field, value.size());
    bytes(value.data(), value.size());
  }

  template <typename Body>
  void message(std::uint32_t field, Body&& body) {
    Writer counter;
    body(counter);
    head(field, counter.size());
    body(*this);
  }

 private:
  std::uint8_t* out_ = nullptr;
  std::size_t size_ = 0;
};

// An entry of a parameters map; `value` writes the InferParameter.
template <typename Value>
void write_parameter(Writer& writer, std::uint32_t field, std::string_view key, Value&& value) {
  writer.message(field, [&](Writer& entry) {
    entry.text(1, key);
    entry.message(2, value);
  });
}

// InferOutputTensor: name 1, datatype 2, shape 3, parameters 4.
void write_output(Writer& writer, const FinishedOutput& output) {
  writer.text(1, output.name);
  writer.text(2, protocol_name(output.tensor.dtype));
  if (output.tensor.shape.rank() > 0) {
    writer.message(3, [&](Writer& shape) {
      for (const std::int64_t dim : output.tensor.shape.dims()) shape.varint(static_cast<std::uint64_t>(dim));
    });
  }
  if (!output.shared_memory) return;
  const SharedMemoryRange& range = *output.shared_memory;
  write_parameter(writer, 4, "shared_memory_region", [&](Writer& value) { value.text(3, range.region); });
  write_parameter(writer, 4, "shared_memory_byte_size", [&](Writer& value) { value.varint_field(2, range.byte_size); });
  if (range.offset > 0) {
    write_parameter(writer, 4, "shared_memory_offset", [&](Writer& value) { value.varint_field(2, range.offset); });
  }
}

std::span<const std::byte> wire_bytes(const FinishedOutput& output) {
  return output.shared_memory ? std::span<const std::byte>() : output.tensor.data;
}

bool referenced(const FinishedOutput& output) { return wire_bytes(output).size() >= kReferencedOutputBytes; }

// ModelInferResponse but for the referenced contents: model_name 1, model_version 2, id 3, parameters 4, outputs 5,
// raw_output_contents 6. `gap(i)` is told where output i's bytes belong.
template <typename Gap>
void write_response(Writer& writer, const InferAnswer& answer, std::string_view version, Gap&& gap) {
  writer.text(1, answer.model);
  writer.text(2, version);
  writer.text(3, answer.id);
  if (answer.final_response) {
    write_parameter(writer, 4, "triton_final_response",
                    [&](Writer& value) { value.varint_field(1, *answer.final_response ? 1 : 0); });
  }
  for (const FinishedOutput& output : answer.outputs) {
    writer.message(5, [&](Writer& tensor) { write_output(tensor, output); });
  }
  for (std::size_t i = 0; i < answer.outputs.size(); ++i) {
    const auto data = wire_bytes(answer.outputs[i]);
    writer.head(6, data.size());
    if (referenced(answer.outputs[i])) {
      gap(i);
    } else {
      writer.bytes(data.data(), data.size());
    }
  }
}

// A slice over `data` that holds on to `memory`.
::grpc::Slice reference(std::span<const std::byte> data, std::shared_ptr<const void> memory) {
  using Owner = std::shared_ptr<const void>;
  auto owner = std::make_unique<Owner>(std::move(memory));
  const auto release = [](void* held) { std::unique_ptr<Owner>(static_cast<Owner*>(held)).reset(); };
  return {const_cast<std::byte*>(data.data()), data.size(), release, owner.release()};
}

::grpc::Slice reference(FinishedOutput& output, const std::shared_ptr<const void>& memory) {
  if (output.text.empty()) return reference(output.tensor.data, memory);
  const auto data = output.tensor.data;  // still valid when the vector that owns it has moved
  return reference(data, std::make_shared<const std::vector<std::byte>>(std::move(output.text)));
}

// Calls write(writer) to fill a slice of exactly `size` bytes.
template <typename Write>
::grpc::Slice filled_slice(std::size_t size, Write&& write) {
  grpc_slice slice = grpc_slice_malloc(size);
  Writer writer(GRPC_SLICE_START_PTR(slice));
  write(writer);
  TESSERA_CHECK(writer.size() == size);
  return {slice, ::grpc::Slice::STEAL_REF};
}

}  // namespace

void encode_answer(InferAnswer answer, Envelope envelope, ::grpc::ByteBuffer& out) {
  const std::string version = answer.version > 0 ? std::to_string(answer.version) : std::string();
  std::size_t outside = 0;  // bytes of referenced contents
  Writer counter;
  write_response(counter, answer, version, [&](std::size_t i) { outside += answer.outputs[i].tensor.data.size(); });
  const std::size_t message_size = counter.size() + outside;
  Writer prefix;
  if (envelope == Envelope::kStream) prefix.head(2, message_size);

  std::vector<std::pair<std::size_t, std::size_t>> gaps;  // (offset in the inline bytes, output)
  ::grpc::Slice inline_bytes = filled_slice(prefix.size() + counter.size(), [&](Writer& writer) {
    if (envelope == Envelope::kStream) writer.head(2, message_size);
    write_response(writer, answer, version, [&](std::size_t i) { gaps.emplace_back(writer.size(), i); });
  });
  if (gaps.empty()) {
    out = ::grpc::ByteBuffer(&inline_bytes, 1);
    return;
  }
  std::vector<::grpc::Slice> slices;
  slices.reserve(2 * gaps.size() + 1);
  std::size_t done = 0;
  for (const auto& [offset, i] : gaps) {
    if (offset > done) slices.push_back(inline_bytes.sub(done, offset));
    slices.push_back(reference(answer.outputs[i], answer.memory));
    done = offset;
  }
  if (done < inline_bytes.size()) slices.push_back(inline_bytes.sub(done, inline_bytes.size()));
  out = ::grpc::ByteBuffer(slices.data(), slices.size());
}

void encode_stream_error(std::string_view message, std::string_view model, std::string_view id,
                         ::grpc::ByteBuffer& out) {
  const auto write = [&](Writer& writer) {
    writer.text(1, message);
    writer.message(2, [&](Writer& response) {
      response.text(1, model);
      response.text(3, id);
    });
  };
  Writer counter;
  write(counter);
  ::grpc::Slice slice = filled_slice(counter.size(), write);
  out = ::grpc::ByteBuffer(&slice, 1);
}

}  // namespace tessera::server
