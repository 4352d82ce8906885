#include "server/grpc/decode/infer_decoder.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "model/utf8.h"
#include "server/grpc/decode/request_fields.h"
#include "server/grpc/decode/typed_contents.h"
#include "server/grpc/decode/wire_parameter.h"
#include "server/parameters.h"
#include "server/version.h"

namespace tessera::server {
namespace {

constexpr std::size_t kTensorAlignment = 64;
constexpr std::size_t kCommonInputs = 4;  // room for as many is made at once

// One input as the message describes it.
struct Input {
  std::string name;
  std::string datatype;
  std::array<std::int64_t, Shape::kMaxRank> dims{};
  std::size_t rank = 0;  // may pass kMaxRank, where dims stops
  std::optional<WireRange> contents;
  SharedMemoryParameters placement;

  DType dtype = DType::kFp32;  // from here on: found out after reading
  Shape shape;
  WireRange source;  // of raw contents
  std::optional<SharedMemoryView> shared;
  std::size_t bytes = 0;  // to be had from the lease
  std::span<const std::byte> data;
};

std::string quoted(std::string_view kind, std::string_view name) {
  return std::string(kind) + " '" + std::string(name) + "'";
}

std::size_t aligned(std::size_t size) { return (size + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment; }

// Reads one message into a DecodedInfer. Used once, by one thread.
class Decoder {
 public:
  Decoder(ByteSpans message, TensorMemory& memory, DecodedInfer& out)
      : message_(message), memory_(memory), out_(out), reader_(message) {
    inputs_.reserve(kCommonInputs);
    raws_.reserve(kCommonInputs);
  }

  Status run() {
    TESSERA_RETURN_IF_ERROR(read_message());
    if (reader_.broken()) {
      return invalid_argument(
          "malformed ModelInferRequest message: it is cut short, or a length in it does not match, or a name is longer "
          "than " +
          std::to_string(kMaxNameBytes) + " bytes");
    }
    TESSERA_RETURN_IF_ERROR(check_texts());
    TESSERA_ASSIGN_OR_RETURN(out_.request.version, parse_version(version_));
    for (Input& input : inputs_) TESSERA_RETURN_IF_ERROR(resolve(input));
    TESSERA_RETURN_IF_ERROR(assign_sources());
    TESSERA_RETURN_IF_ERROR(place());
    for (Input& input : inputs_) {
      out_.request.inputs.push_back({std::move(input.name), TensorView{input.dtype, input.shape, input.data}});
    }
    return ok_status();
  }

 private:
  Status read_message() {
    InferRequest& request = out_.request;
    while (const auto field = reader_.next()) {
      if (field->type != WireType::kLength) {
        reader_.skip(*field);
        continue;
      }
      switch (field->number) {
        case 1:
          request.model = reader_.string(kMaxNameBytes);
          break;
        case 2:
          version_ = reader_.string(kMaxNameBytes);
          break;
        case 3:
          request.id = reader_.string(kMaxNameBytes);
          break;
        case 4:
          TESSERA_RETURN_IF_ERROR(take_request_parameter(read_parameter(reader_)));
          break;
        case 5:
          TESSERA_RETURN_IF_ERROR(read_input());
          break;
        case 6:
          TESSERA_RETURN_IF_ERROR(read_output());
          break;
        case 7:
          if (raws_.size() == kMaxRequestTensors) return too_many("raw_input_contents");
          raws_.push_back(reader_.skip_length());
          break;
        default:
          reader_.skip(*field);
      }
    }
    return ok_status();
  }

  static Error too_many(std::string_view what) {
    return invalid_argument("a request has at most " + std::to_string(kMaxRequestTensors) + " " + std::string(what));
  }

  Status take_request_parameter(const WireParameter& parameter) {
    const auto value = parameter.value();
    if (!value) return ok_status();
    if (parameter.key == "triton_enable_empty_final_response") {
      TESSERA_ASSIGN_OR_RETURN(out_.empty_final_response, bool_parameter(parameter.key, *value));
      return ok_status();
    }
    return apply_request_parameter(parameter.key, *value, out_.request);
  }

  // False where the parameter is not one of those that place a tensor.
  static Result<bool> take_placement(const WireParameter& parameter, std::string_view owner,
                                     SharedMemoryParameters& placement) {
    const auto value = parameter.value();
    if (!value) return false;
    auto taken = placement.apply(parameter.key, *value);
    if (!taken.ok()) return taken.error().in(owner);
    return taken;
  }

  Status read_input() {
    if (inputs_.size() == kMaxRequestTensors) return too_many("inputs");
    Input& input = inputs_.emplace_back();
    Status status;
    reader_.message([&] {
      while (const auto field = reader_.next()) {
        if (field->is(1, WireType::kLength)) {
          input.name = reader_.string(kMaxNameBytes);
        } else if (field->is(2, WireType::kLength)) {
          input.datatype = reader_.string(kMaxNameBytes);
        } else if (field->is(3, WireType::kLength)) {
          reader_.message([&] {
            while (reader_.more()) add_dim(input);
          });
        } else if (field->is(3, WireType::kVarint)) {
          add_dim(input);
        } else if (field->is(4, WireType::kLength)) {
          const auto taken = take_placement(read_parameter(reader_), quoted("input", input.name), input.placement);
          if (!taken.ok() && status.ok()) status = taken.error();
        } else if (field->is(5, WireType::kLength)) {
          if (input.contents && status.ok())
            status = invalid_argument(quoted("input", input.name) + " has contents twice");
          input.contents = reader_.skip_length();
        } else {
          reader_.skip(*field);
        }
      }
    });
    return status;
  }

  void add_dim(Input& input) {
    const auto dim = static_cast<std::int64_t>(reader_.varint());
    if (input.rank < Shape::kMaxRank) input.dims[input.rank] = dim;
    ++input.rank;
  }

  Status read_output() {
    if (out_.outputs.size() == kMaxRequestTensors) return too_many("outputs");
    OutputOptions& output = out_.outputs.emplace_back();
    SharedMemoryParameters placement;
    Status status;
    reader_.message([&] {
      while (const auto field = reader_.next()) {
        if (field->is(1, WireType::kLength)) {
          output.name = reader_.string(kMaxNameBytes);
        } else if (field->is(2, WireType::kLength)) {
          const auto taken = take_output_parameter(read_parameter(reader_), placement, output);
          if (!taken.ok() && status.ok()) status = taken;
        } else {
          reader_.skip(*field);
        }
      }
    });
    if (!status.ok() || reader_.broken()) return status;
    TESSERA_ASSIGN_OR_RETURN(output.shared_memory, placement.range(output.name));
    return ok_status();
  }

  static Status take_output_parameter(const WireParameter& parameter, SharedMemoryParameters& placement,
                                      OutputOptions& output) {
    const std::string owner = quoted("output", output.name);
    if (parameter.key != "classification") {
      const auto taken = take_placement(parameter, owner, placement);
      return taken.ok() ? ok_status() : Status(taken.error());
    }
    const auto value = parameter.value();
    if (!value) return ok_status();
    const auto classes = unsigned_parameter(parameter.key, *value);
    if (!classes.ok()) return classes.error().in(owner);
    if (*classes > std::numeric_limits<std::uint32_t>::max()) {
      return invalid_argument(owner + ": parameter 'classification' is too large");
    }
    output.classification = static_cast<std::uint32_t>(*classes);
    return ok_status();
  }

  // Texts come back in answers and errors, where a client expects what protobuf calls a string.
  Status check_texts() {
    bool valid = model::is_utf8(out_.request.model) && model::is_utf8(version_);
    if (!model::is_utf8(out_.request.id)) {
      valid = false;
      out_.request.id.clear();
    }
    for (const Input& input : inputs_) valid = valid && model::is_utf8(input.name) && model::is_utf8(input.datatype);
    for (const OutputOptions& output : out_.outputs) {
      valid = valid && model::is_utf8(output.name);
      out_.request.outputs.push_back(output.name);
    }
    if (valid) return ok_status();
    return invalid_argument("malformed ModelInferRequest message: a name is not UTF-8");
  }

  Status resolve(Input& input) {
    const std::string owner = quoted("input", input.name);
    const auto dtype = dtype_from_protocol_name(input.datatype);
    if (!dtype) return invalid_argument(owner + " has an unknown datatype '" + input.datatype + "'");
    input.dtype = *dtype;
    if (input.rank > Shape::kMaxRank) {
      return invalid_argument(owner + " has " + std::to_string(input.rank) + " dimensions, at most " +
                              std::to_string(Shape::kMaxRank) + " are possible");
    }
    TESSERA_ASSIGN_OR_RETURN(input.shape, Shape::from(std::span(input.dims).first(input.rank)));
    TESSERA_ASSIGN_OR_RETURN(const auto range, input.placement.range(input.name));
    if (range) {
      TESSERA_ASSIGN_OR_RETURN(input.shared, memory_.shared(*range));
      input.data = input.shared->bytes;
      if (input.dtype == DType::kBytes) input.bytes = input.data.size();
    }
    return ok_status();
  }

  // Finds where the bytes of each input come from, and how many the lease has to hold.
  Status assign_sources() {
    const std::string model = "for " + quoted("model", out_.request.model);
    std::size_t used = 0;
    for (Input& input : inputs_) {
      if (input.shared) {
        if (input.contents)
          return invalid_argument(quoted("input", input.name) + " has contents and a shared-memory region");
        continue;
      }
      if (!raws_.empty()) {
        if (input.contents) {
          return invalid_argument("contents field must not be specified when using raw_input_contents for '" +
                                  input.name + "' " + model);
        }
        if (used < raws_.size()) {
          input.source = raws_[used];
          input.bytes = input.source.size;
        }
        ++used;
      } else if (input.contents) {
        TESSERA_ASSIGN_OR_RETURN(input.bytes, measure_contents(message_, *input.contents, input.dtype, input.name));
      }
    }
    if (!raws_.empty() && used != raws_.size()) {
      return invalid_argument("expected " + std::to_string(used) + " raw_input_contents " + model + ", got " +
                              std::to_string(raws_.size()));
    }
    return ok_status();
  }

  // Gives every input its bytes: in one leased block, or where the client put them in shared memory.
  Status place() {
    std::vector<std::shared_ptr<const void>> owners;
    std::size_t total = 0;
    for (const Input& input : inputs_) total += aligned(input.bytes);
    if (total > 0) {
      TESSERA_ASSIGN_OR_RETURN(auto lease, memory_.lease(out_.request.model, Bytes{total}));
      TESSERA_RETURN_IF_ERROR(lease->charge(Bytes{total}));
      TESSERA_RETURN_IF_ERROR(fill(lease->bytes()));
      out_.request.device = lease->device;
      owners.push_back(std::move(lease));
    }
    for (Input& input : inputs_) {
      if (input.shared) owners.push_back(std::move(input.shared->memory));
    }
    if (owners.size() == 1) {
      out_.request.memory = std::move(owners.front());
    } else if (!owners.empty()) {
      out_.request.memory = std::make_shared<const std::vector<std::shared_ptr<const void>>>(std::move(owners));
    }
    return ok_status();
  }

  Status fill(std::span<std::byte> block) {
    std::size_t offset = 0;
    for (Input& input : inputs_) {
      if (input.bytes == 0) continue;
      const auto out = block.subspan(offset, input.bytes);
      if (input.shared) {
        std::memcpy(out.data(), input.data.data(), out.size());
      } else if (input.contents) {
        TESSERA_RETURN_IF_ERROR(write_contents(message_, *input.contents, input.dtype, input.name, out));
      } else {
        copy_range(message_, input.source, out);
      }
      out_.copied.value += out.size();
      input.data = out;
      offset += aligned(input.bytes);
    }
    return ok_status();
  }

  ByteSpans message_;
  TensorMemory& memory_;
  DecodedInfer& out_;
  RequestFields reader_;
  std::string version_;
  std::vector<Input> inputs_;
  std::vector<WireRange> raws_;
};

}  // namespace

Status decode_infer(std::span<const std::span<const std::byte>> message, TensorMemory& memory, DecodedInfer& out) {
  return Decoder(message, memory, out).run();
}

}  // namespace tessera::server
