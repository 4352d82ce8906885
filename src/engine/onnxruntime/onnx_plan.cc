#include "engine/onnxruntime/onnx_plan.h"

#include <cstring>
#include <optional>
#include <utility>

#include "engine/onnxruntime/alignment.h"
#include "engine/onnxruntime/string_tensors.h"

namespace tessera::engine {
namespace {

// Some kernels are handed a pointer even where there is nothing behind it.
alignas(64) constexpr std::byte kNothing[64] = {};

std::string named(const char* what, const TensorSpec& spec) { return std::string(what) + " '" + spec.name + "'"; }

// A block of run memory for as long as this lives. Movable, like the pointer it wraps.
struct ReleaseBlock {
  RunMemory* memory;
  void operator()(std::byte* block) const { memory->release(block); }
};
using Block = std::unique_ptr<std::byte, ReleaseBlock>;

}  // namespace

// The values that one run reads: over the requests' own bytes where there is one part, gathered otherwise.
class OnnxPlan::Inputs {
 public:
  explicit Inputs(const PlanFacts& facts) : facts_(facts) { values_.reserve(facts.signature.inputs.size()); }

  Status gather(const Batch& batch) {
    if (batch.inputs.size() != facts_.signature.inputs.size()) {
      return internal_error("a batch has " + std::to_string(batch.inputs.size()) + " inputs, the model " +
                            std::to_string(facts_.signature.inputs.size()));
    }
    for (std::size_t i = 0; i < batch.inputs.size(); ++i) {
      TESSERA_RETURN_IF_ERROR(add(facts_.signature.inputs[i], batch.inputs[i], batch.rows));
    }
    return {};
  }

  // The C API takes an array of pointers, which is what an array of these wrappers is.
  const OrtValue* const* data() const {
    static_assert(sizeof(Ort::Value) == sizeof(OrtValue*));
    return reinterpret_cast<const OrtValue* const*>(values_.data());
  }
  std::size_t size() const { return values_.size(); }

  // Whether `at` is one of the addresses that were read from.
  bool holds(const void* at) const {
    for (const std::byte* start : addresses_) {
      if (start == at) {
        return true;
      }
    }
    return false;
  }

 private:
  Status add(const TensorSpec& spec, const BatchInput& input, std::int32_t rows) {
    const Shape shape = facts_.max_batch_size > 0 ? input.row_shape.with_first(rows) : input.row_shape;
    const std::optional<std::int64_t> elements = shape.elements();
    if (input.dtype != spec.dtype || !elements) {
      return internal_error(named("input", spec) + " has the wrong type or a negative shape");
    }
    if (spec.dtype == DType::kBytes) {
      TESSERA_ASSIGN_OR_RETURN(Ort::Value value, decode_strings(input.parts, shape.dims(), *elements));
      values_.push_back(std::move(value));
      for (const auto& part : input.parts) {
        facts_.copies->add(part.size());
      }
      return {};
    }
    TESSERA_ASSIGN_OR_RETURN(const std::size_t size, byte_size(spec.dtype, shape));
    TESSERA_ASSIGN_OR_RETURN(const std::byte* bytes, contiguous(spec, input, size));
    OrtValue* value = nullptr;
    TESSERA_RETURN_IF_ERROR(to_status(Ort::GetApi().CreateTensorWithDataAsOrtValue(
                                          facts_.environment->cpu(), const_cast<std::byte*>(bytes), size,
                                          shape.dims().data(), shape.rank(), to_onnx_type(spec.dtype), &value),
                                      Blame::kUs));
    values_.emplace_back(value);
    addresses_.push_back(bytes);
    return {};
  }

  Result<const std::byte*> contiguous(const TensorSpec& spec, const BatchInput& input, std::size_t size) {
    std::size_t given = 0;
    for (const auto& part : input.parts) {
      given += part.size();
    }
    if (given != size) {
      return internal_error(named("input", spec) + " has " + std::to_string(given) + " bytes, not " +
                            std::to_string(size));
    }
    if (size == 0) {
      return static_cast<const std::byte*>(kNothing);
    }
    if (input.parts.size() == 1 && is_aligned(input.parts[0].data(), size_of(spec.dtype))) {
      return input.parts[0].data();
    }
    RunMemory& memory = *facts_.environment->run_memory();
    Block block(static_cast<std::byte*>(memory.allocate(size)), ReleaseBlock{&memory});
    if (!block) {
      return Error(ErrorCode::kResourceExhausted, "no memory to gather " + named("input", spec));
    }
    std::byte* at = block.get();
    for (const auto& part : input.parts) {
      if (!part.empty()) {
        std::memcpy(at, part.data(), part.size());
        at += part.size();
      }
    }
    facts_.copies->add(size);
    blocks_.push_back(std::move(block));
    return static_cast<const std::byte*>(blocks_.back().get());
  }

  const PlanFacts& facts_;
  std::vector<Block> blocks_;
  std::vector<const std::byte*> addresses_;
  std::vector<Ort::Value> values_;  // goes first
};

// The values that one run wrote, kept until the answers are sent.
class OnnxPlan::Outputs {
 public:
  explicit Outputs(const PlanFacts& facts)
      : run_memory_(facts.environment->run_memory()), values_(facts.signature.outputs.size()) {}

  OrtValue** data() { return reinterpret_cast<OrtValue**>(values_.data()); }
  std::size_t size() const { return values_.size(); }

  Status describe(const PlanFacts& facts, const Inputs& inputs, std::int32_t rows, std::vector<TensorView>& out) {
    out.clear();
    out.reserve(values_.size());
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const TensorSpec& spec = facts.signature.outputs[i];
      TESSERA_ASSIGN_OR_RETURN(const Shape shape, shape_of(spec, values_[i]));
      if (facts.max_batch_size > 0 && (shape.rank() == 0 || shape[0] != rows)) {
        return invalid_argument(named("output", spec) + " came out as " + shape.to_string() + " for a batch of " +
                                std::to_string(rows));
      }
      TESSERA_ASSIGN_OR_RETURN(const std::span<const std::byte> data, bytes_of(facts, inputs, spec, shape, values_[i]));
      out.push_back({spec.dtype, shape, data});
    }
    return {};
  }

 private:
  static Result<Shape> shape_of(const TensorSpec& spec, const Ort::Value& value) {
    const OrtApi& api = Ort::GetApi();
    OrtTensorTypeAndShapeInfo* raw = nullptr;
    if (value == nullptr || !to_status(api.GetTensorTypeAndShape(value, &raw), Blame::kUs).ok()) {
      return invalid_argument(named("output", spec) + " was not computed");
    }
    const Ort::TensorTypeAndShapeInfo info(raw);
    std::size_t rank = 0;
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    TESSERA_RETURN_IF_ERROR(to_status(api.GetDimensionsCount(raw, &rank), Blame::kUs));
    TESSERA_RETURN_IF_ERROR(to_status(api.GetTensorElementType(raw, &type), Blame::kUs));
    if (rank > Shape::kMaxRank || type != to_onnx_type(spec.dtype)) {
      return invalid_argument(named("output", spec) + " has another type or more dimensions than the model says");
    }
    std::int64_t dims[Shape::kMaxRank] = {};
    TESSERA_RETURN_IF_ERROR(to_status(api.GetDimensions(raw, dims, rank), Blame::kUs));
    return Shape::from({dims, rank});
  }

  Result<std::span<const std::byte>> bytes_of(const PlanFacts& facts, const Inputs& inputs, const TensorSpec& spec,
                                              const Shape& shape, Ort::Value& value) {
    const std::int64_t elements = shape.elements().value_or(0);
    if (spec.dtype == DType::kBytes) {
      TESSERA_ASSIGN_OR_RETURN(std::vector<std::byte> encoded, encode_strings(value, elements));
      facts.copies->add(encoded.size());
      return std::span<const std::byte>(own_.emplace_back(std::move(encoded)));
    }
    const std::size_t size = static_cast<std::size_t>(elements) * size_of(spec.dtype);
    void* data = nullptr;
    TESSERA_RETURN_IF_ERROR(to_status(Ort::GetApi().GetTensorMutableData(value, &data), Blame::kUs));
    const std::span<const std::byte> bytes(static_cast<const std::byte*>(data), size);
    if (size > 0 && inputs.holds(data)) {
      // The graph passes an input straight on, and the request's memory goes before the answer does.
      facts.copies->add(size);
      return std::span<const std::byte>(own_.emplace_back(bytes.begin(), bytes.end()));
    }
    return bytes;
  }

  std::shared_ptr<RunMemory> run_memory_;  // the values give their blocks back to it
  std::vector<std::vector<std::byte>> own_;
  std::vector<Ort::Value> values_;
};

Status OnnxPlan::run(const Slice& /*slice*/, Batch& batch) const {
  Inputs inputs(facts_);
  TESSERA_RETURN_IF_ERROR(inputs.gather(batch));
  auto outputs = std::make_shared<Outputs>(facts_);
  TESSERA_RETURN_IF_ERROR(
      to_status(Ort::GetApi().Run(session_, nullptr, facts_.input_names.data(), inputs.data(), inputs.size(),
                                  facts_.output_names.data(), outputs->size(), outputs->data()),
                Blame::kRequest));
  TESSERA_RETURN_IF_ERROR(outputs->describe(facts_, inputs, batch.rows, batch.outputs));
  batch.output_memory = std::move(outputs);
  return {};
}

}  // namespace tessera::engine
