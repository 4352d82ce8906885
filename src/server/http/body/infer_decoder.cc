#include "server/http/body/infer_decoder.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace tessera::server::http {
namespace {

constexpr std::size_t kTensorAlignment = 64;
// "1," is two bytes of JSON and up to eight of tensor.
constexpr std::size_t kJsonExpansion = 4;

std::size_t aligned(std::size_t size) { return (size + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment; }

Status check_names(const std::vector<InputTensor>& inputs, const std::vector<OutputOptions>& outputs) {
  std::vector<std::string_view> names;
  names.reserve(std::max(inputs.size(), outputs.size()));
  const auto unique = [&names](std::string_view kind) -> Status {
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    return twice == names.end()
               ? ok_status()
               : Status(invalid_argument(std::string(kind) + " '" + std::string(*twice) + "' is given more than once"));
  };
  for (const InputTensor& input : inputs) {
    names.emplace_back(input.name);
  }
  TESSERA_RETURN_IF_ERROR(unique("input"));
  names.clear();
  for (const OutputOptions& output : outputs) {
    names.emplace_back(output.name);
  }
  return unique("output");
}

}  // namespace

InferDecoder::InferDecoder(const InferSource& source, const BodyShape& shape) : source_(source), shape_(shape) {
  if (shape_.json_length && *shape_.json_length == 0) {
    phase_ = Phase::kRaw;
  } else {
    json_.emplace(parameters_, source_.lease, shape_.max_bytes * kJsonExpansion);
  }
}

InferDecoder::~InferDecoder() = default;

Status InferDecoder::feed(std::span<const std::byte> bytes) {
  if (phase_ == Phase::kJson) {
    const std::uint64_t missing = shape_.json_length ? *shape_.json_length - json_read_ : bytes.size();
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(missing, bytes.size()));
    TESSERA_RETURN_IF_ERROR(feed_json({reinterpret_cast<const char*>(bytes.data()), count}));
    bytes = bytes.subspan(count);
  }
  if (bytes.empty()) {
    return ok_status();
  }
  if (phase_ == Phase::kTensors) {
    return copy_into_tensors(bytes);
  }
  TESSERA_RETURN_IF_ERROR(start_raw());
  copied_ += bytes.size();
  return raw_->append(bytes.data(), bytes.size());
}

Status InferDecoder::feed_json(std::string_view text) {
  if (shape_.json_length && shape_.body_length && *shape_.json_length > *shape_.body_length) {
    return invalid_argument("Inference-Header-Content-Length is " + std::to_string(*shape_.json_length) +
                            ", the whole body has " + std::to_string(*shape_.body_length) + " bytes");
  }
  TESSERA_RETURN_IF_ERROR(json_->feed(text));
  json_read_ += text.size();
  return shape_.json_length && json_read_ == *shape_.json_length ? json_done() : ok_status();
}

std::optional<std::uint64_t> InferDecoder::json_missing() const {
  if (phase_ != Phase::kJson || !shape_.json_length) {
    return std::nullopt;
  }
  return *shape_.json_length - json_read_;
}

Status InferDecoder::json_done() {
  json_complete_ = true;
  TESSERA_RETURN_IF_ERROR(json_->finish());
  phase_ = Phase::kTensors;
  return lay_out_tensors();
}

Status InferDecoder::lay_out_tensors() {
  std::uint64_t wire = 0;
  std::size_t place = 0;
  for (const JsonInput& input : json_->result().inputs) {
    if (!input.binary_size) {
      continue;
    }
    // Each step is checked against the limit, so that the sums cannot overflow.
    if (*input.binary_size > shape_.max_bytes - wire) {
      return Error(ErrorCode::kTooLarge,
                   "the binary tensors announce more than the limit of " + std::to_string(shape_.max_bytes) + " bytes");
    }
    const auto size = static_cast<std::size_t>(*input.binary_size);
    segments_.push_back({place, size});
    wire += size;
    place += aligned(size);
  }
  announced_ = static_cast<std::size_t>(wire);
  if (shape_.body_length && *shape_.body_length - json_read_ != wire) {
    return invalid_argument("the inputs announce " + std::to_string(wire) + " bytes of binary data, " +
                            std::to_string(*shape_.body_length - json_read_) + " follow the JSON");
  }
  if (place > 0) {
    TESSERA_ASSIGN_OR_RETURN(block_, source_.lease(Bytes{place}));
  }
  while (current_ < segments_.size() && segments_[current_].size == 0) {
    ++current_;
  }
  return ok_status();
}

Result<std::size_t> InferDecoder::gather(std::span<iovec> places) {
  if (phase_ == Phase::kRaw && shape_.body_length && !places.empty()) {
    TESSERA_RETURN_IF_ERROR(start_raw());
    const std::span<std::byte> room = raw_->room();
    places[0] = {room.data(), room.size()};
    return std::size_t{room.empty() ? 0U : 1U};
  }
  std::size_t count = 0;
  std::size_t skip = in_current_;
  for (std::size_t i = current_; phase_ == Phase::kTensors && i < segments_.size() && count < places.size(); ++i) {
    const Segment& segment = segments_[i];
    if (segment.size > skip) {
      places[count++] = {block_->bytes().data() + segment.offset + skip, segment.size - skip};
    }
    skip = 0;
  }
  return count;
}

Status InferDecoder::arrived(std::size_t bytes) {
  if (phase_ == Phase::kRaw) {
    return raw_->filled(bytes);
  }
  arrived_ += bytes;
  in_current_ += bytes;
  while (current_ < segments_.size() && in_current_ >= segments_[current_].size) {
    in_current_ -= segments_[current_].size;
    ++current_;
  }
  return block_ != nullptr ? block_->charge(Bytes{arrived_}) : ok_status();
}

Status InferDecoder::copy_into_tensors(std::span<const std::byte> bytes) {
  if (bytes.size() > announced_ - arrived_) {
    return invalid_argument("more binary data follows the JSON than the " + std::to_string(announced_) +
                            " bytes that the inputs announce");
  }
  copied_ += bytes.size();
  while (!bytes.empty()) {
    iovec place{};
    TESSERA_CHECK(*gather({&place, 1}) == 1);
    const std::size_t count = std::min(place.iov_len, bytes.size());
    std::memcpy(place.iov_base, bytes.data(), count);
    TESSERA_RETURN_IF_ERROR(arrived(count));
    bytes = bytes.subspan(count);
  }
  return ok_status();
}

Status InferDecoder::start_raw() {
  if (raw_) {
    return ok_status();
  }
  TESSERA_ASSIGN_OR_RETURN(raw_signature_, source_.signature());
  if (raw_signature_.inputs.size() != 1) {
    return invalid_argument("a raw binary request needs a model with one input, this one has " +
                            std::to_string(raw_signature_.inputs.size()));
  }
  raw_.emplace(source_.lease, shape_.max_bytes + sizeof(std::uint32_t));
  const bool text = raw_signature_.inputs[0].dtype == DType::kBytes;
  if (shape_.body_length) {
    TESSERA_RETURN_IF_ERROR(
        raw_->reserve(static_cast<std::size_t>(*shape_.body_length) + (text ? sizeof(std::uint32_t) : 0)));
  }
  const std::uint32_t length = 0;
  return text ? raw_->append(&length, sizeof length) : ok_status();
}

void InferDecoder::keep(std::shared_ptr<const void> memory) {
  if (memory != nullptr) {
    kept_.push_back(std::move(memory));
  }
}

Status InferDecoder::finish(InferRequest& request, AnswerForm& form) {
  if (phase_ == Phase::kRaw) {
    return finish_raw(request, form);
  }
  if (!json_complete_) {
    if (shape_.json_length) {
      return invalid_argument("the body ends within the JSON that Inference-Header-Content-Length announces");
    }
    TESSERA_RETURN_IF_ERROR(json_->finish());
    phase_ = Phase::kTensors;
  }
  if (arrived_ != announced_) {
    return invalid_argument("the inputs announce " + std::to_string(announced_) + " bytes of binary data, " +
                            std::to_string(arrived_) + " follow the JSON");
  }
  JsonRequest& json = json_->result();
  request.priority = parameters_.priority;
  request.timeout = parameters_.timeout;
  request.id = std::move(json.id);
  request.inputs.resize(json.inputs.size());
  keep(block_);
  request.device = block_ ? block_->device : std::nullopt;
  std::size_t segment = 0;
  for (std::size_t i = 0; i < json.inputs.size(); ++i) {
    TESSERA_RETURN_IF_ERROR(finish_input(json.inputs[i], segment, request.inputs[i]));
  }
  form.outputs = std::move(json.outputs);
  form.binary_output = json.binary_output;
  TESSERA_RETURN_IF_ERROR(check_names(request.inputs, form.outputs));
  request.outputs.clear();
  for (const OutputOptions& output : form.outputs) {
    request.outputs.push_back(output.name);
  }
  if (kept_.size() == 1) {
    request.memory = std::move(kept_.front());
  } else {
    request.memory = std::make_shared<std::vector<std::shared_ptr<const void>>>(std::move(kept_));
  }
  return ok_status();
}

Status InferDecoder::finish_input(JsonInput& input, std::size_t& segment, InputTensor& out) {
  if (!input.dtype || !input.shape) {
    return invalid_argument("input '" + input.name + "' needs 'datatype' and 'shape'");
  }
  const auto elements = input.shape->elements();
  if (!elements) {
    return invalid_argument("shape " + input.shape->to_string() + " of input '" + input.name +
                            "' is negative or too large");
  }
  TESSERA_ASSIGN_OR_RETURN(const auto range, input.shared_memory.range(input.name));
  const int sources = (input.data ? 1 : 0) + (input.binary_size ? 1 : 0) + (range ? 1 : 0);
  if (sources != 1) {
    return invalid_argument("input '" + input.name +
                            "' needs one of 'data', 'binary_data_size' and shared memory, got " +
                            std::to_string(sources));
  }
  if (input.binary_size && !shape_.json_length) {
    return invalid_argument("input '" + input.name +
                            "' has binary data: the request needs Inference-Header-Content-Length");
  }
  out.tensor.dtype = *input.dtype;
  out.tensor.shape = *input.shape;
  if (input.data) {
    if (const Status finished = input.data->finish(*elements); !finished.ok()) {
      return finished.error().in("input '" + input.name + "'");
    }
    out.tensor.data = input.data->bytes();
    keep(input.data->memory());
  } else if (range) {
    TESSERA_ASSIGN_OR_RETURN(SharedMemoryView view, source_.shared_memory->view_input(*range, *input.dtype));
    out.tensor.data = view.bytes;
    keep(std::move(view.memory));
  } else {
    const Segment& place = segments_[segment++];
    out.tensor.data = place.size == 0 ? std::span<const std::byte>()
                                      : std::span<const std::byte>(block_->bytes().subspan(place.offset, place.size));
  }
  out.name = std::move(input.name);
  return ok_status();
}

// The shape follows from the model's and the number of bytes; where the model batches it is one row.
Status InferDecoder::finish_raw(InferRequest& request, AnswerForm& form) {
  TESSERA_RETURN_IF_ERROR(start_raw());
  TESSERA_RETURN_IF_ERROR(raw_->charge());
  const TensorSpec& spec = raw_signature_.inputs[0];
  Shape shape = spec.shape;
  if (spec.dtype == DType::kBytes) {
    const std::size_t size = raw_->size() - sizeof(std::uint32_t);
    if (size > std::numeric_limits<std::uint32_t>::max()) {
      return Error(ErrorCode::kTooLarge, "a BYTES element may have 4 GiB");
    }
    const auto length = static_cast<std::uint32_t>(size);
    raw_->overwrite(0, &length, sizeof length);
  }
  std::size_t known = spec.dtype == DType::kBytes ? 1 : size_of(spec.dtype);
  std::optional<std::size_t> free;
  for (std::size_t i = 0; i < shape.rank(); ++i) {
    if (shape[i] >= 0) {
      if (__builtin_mul_overflow(known, static_cast<std::size_t>(shape[i]), &known)) {
        return invalid_argument("a raw binary request cannot be as large as this model's input");
      }
    } else if (std::exchange(free, i)) {
      return invalid_argument("a raw binary request needs an input with at most one dimension that is not fixed");
    }
  }
  if (free) {
    const std::size_t size = spec.dtype == DType::kBytes ? 1 : raw_->size();
    shape[*free] = known == 0 ? 0 : static_cast<std::int64_t>(size / known);
  }
  if (raw_signature_.max_batch_size > 0) {
    shape = shape.with_first(1);
  }
  request.inputs.resize(1);
  request.inputs[0] = {spec.name, TensorView{spec.dtype, shape, raw_->bytes()}};
  request.memory = raw_->memory();
  request.device = raw_->device();
  form.binary_output = true;
  return ok_status();
}

}  // namespace tessera::server::http
