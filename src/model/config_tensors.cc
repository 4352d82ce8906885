#include <algorithm>
#include <map>
#include <set>

#include "model/config_steps.h"

namespace tessera::model {
namespace {

Shape shape_of(const google::protobuf::RepeatedField<std::int64_t>& dims) {
  Shape shape;
  for (const std::int64_t dim : dims) {
    shape.push_back(dim);
  }
  return shape;
}

std::string in_quotes(std::string_view name) { return "'" + std::string(name) + "'"; }

// Every input and output starts with a free dimension, and none has only that one.
bool looks_batched(const engine::FileSignature& file) {
  const auto batched = [](const TensorSpec& tensor) { return tensor.shape.rank() >= 2 && tensor.shape[0] < 0; };
  return !file.inputs.empty() && !file.outputs.empty() &&
         std::all_of(file.inputs.begin(), file.inputs.end(), batched) &&
         std::all_of(file.outputs.begin(), file.outputs.end(), batched);
}

template <typename Tensor>
Status check_written(const google::protobuf::RepeatedPtrField<Tensor>& tensors, std::string_view field) {
  std::set<std::string_view> names;
  for (const Tensor& tensor : tensors) {
    if (tensor.name().empty()) {
      return invalid_argument(std::string(field) + ".name: must not be empty");
    }
    if (!names.insert(tensor.name()).second) {
      return invalid_argument(std::string(field) + ".name: " + in_quotes(tensor.name()) + " stands twice");
    }
    const std::string where = std::string(field) + " " + in_quotes(tensor.name());
    if (!inference::DataType_IsValid(tensor.data_type())) {
      return invalid_argument(where + ": data_type: unknown number " + std::to_string(tensor.data_type()));
    }
    // One less than a shape holds: the batch dimension comes on top.
    if (tensor.dims_size() >= static_cast<int>(Shape::kMaxRank)) {
      return invalid_argument(where + ": dims: more than " + std::to_string(Shape::kMaxRank - 1) + " dimensions");
    }
    for (const std::int64_t dim : tensor.dims()) {
      if (dim < -1 || dim == 0) {
        return invalid_argument(where + ": dims: each must be -1 or at least 1, got " + std::to_string(dim));
      }
    }
    if (tensor.has_reshape() && !std::equal(tensor.dims().begin(), tensor.dims().end(),
                                            tensor.reshape().shape().begin(), tensor.reshape().shape().end())) {
      return unsupported(where + ": reshape: requests must use the shape that the model file has");
    }
  }
  return ok_status();
}

Status check_formats(const inference::ModelConfig& proto) {
  for (const auto& input : proto.input()) {
    if (!inference::ModelInput::Format_IsValid(input.format())) {
      return invalid_argument("input " + in_quotes(input.name()) + ": format: unknown number " +
                              std::to_string(input.format()));
    }
    if (input.format() != inference::ModelInput::FORMAT_NONE && input.dims_size() != 3) {
      return invalid_argument("input " + in_quotes(input.name()) + ": format: needs three dims, got " +
                              std::to_string(input.dims_size()));
    }
  }
  return ok_status();
}

Status check_file(const std::vector<TensorSpec>& tensors, std::string_view kind) {
  if (tensors.empty() || tensors.size() > kMaxTensors) {
    return invalid_argument("the model file has " + std::to_string(tensors.size()) + " " + std::string(kind) +
                            "s; served are models with 1 to " + std::to_string(kMaxTensors));
  }
  for (const TensorSpec& tensor : tensors) {
    if (tensor.shape.rank() >= Shape::kMaxRank) {
      return invalid_argument("the model file's " + std::string(kind) + " " + in_quotes(tensor.name) + " has " +
                              std::to_string(tensor.shape.rank()) + " dimensions, more than " +
                              std::to_string(Shape::kMaxRank - 1));
    }
  }
  return ok_status();
}

// How many dimensions the tensors written have less than those of the file: 1 where they leave out the batch dimension,
// 0 where they do not, nothing where none says.
template <typename Tensor>
std::optional<std::size_t> left_out(const google::protobuf::RepeatedPtrField<Tensor>& written,
                                    const std::vector<TensorSpec>& file) {
  for (const Tensor& tensor : written) {
    for (const TensorSpec& other : file) {
      if (other.name == tensor.name() && tensor.dims_size() > 0) {
        return other.shape.rank() - std::min<std::size_t>(other.shape.rank(), tensor.dims_size());
      }
    }
  }
  return std::nullopt;
}

Result<std::int32_t> batch_size(const WrittenConfig& written, const engine::FileSignature& file) {
  const inference::ModelConfig& proto = *written.proto;
  if (proto.max_batch_size() < 0 || proto.max_batch_size() > kMaxBatchSize) {
    return invalid_argument("max_batch_size: must lie between 0 and " + std::to_string(kMaxBatchSize) + ", got " +
                            std::to_string(proto.max_batch_size()));
  }
  if (!written.says_batch_size && proto.max_batch_size() == 0) {
    auto omitted = left_out(proto.input(), file.inputs);
    if (!omitted) omitted = left_out(proto.output(), file.outputs);
    return looks_batched(file) && omitted.value_or(1) == 1 ? kAutomaticBatchSize : 0;
  }
  if (proto.max_batch_size() == 0) {
    return 0;
  }
  for (const auto* tensors : {&file.inputs, &file.outputs}) {
    for (const TensorSpec& tensor : *tensors) {
      if (tensor.shape.rank() == 0 || tensor.shape[0] >= 0) {
        return invalid_argument("max_batch_size: is " + std::to_string(proto.max_batch_size()) +
                                ", but the model file has no free batch dimension: " + in_quotes(tensor.name) + " is " +
                                tensor.shape.to_string());
      }
    }
  }
  return proto.max_batch_size();
}

// Brings what is written of one tensor and what the file says together.
template <typename Tensor>
Result<TensorSpec> agree(std::string_view field, const Tensor& written, const TensorSpec& file, bool batched) {
  const std::string where = std::string(field) + " " + in_quotes(written.name());
  TensorSpec spec = file;
  spec.shape = batched ? file.shape.without_first() : file.shape;
  if (written.data_type() != inference::TYPE_INVALID && written.data_type() != data_type_of(file.dtype)) {
    return invalid_argument(where + ": data_type: is " + inference::DataType_Name(written.data_type()) +
                            ", but the model file has " + inference::DataType_Name(data_type_of(file.dtype)));
  }
  if (written.dims_size() == 0) {
    return spec;
  }
  const Shape dims = shape_of(written.dims());
  const bool fits = dims.rank() == spec.shape.rank() &&
                    std::equal(dims.dims().begin(), dims.dims().end(), spec.shape.dims().begin(),
                               [](std::int64_t ours, std::int64_t theirs) { return theirs < 0 || ours == theirs; });
  if (!fits) {
    return invalid_argument(where + ": dims: are " + dims.to_string() + ", but the model file has " +
                            spec.shape.to_string() + (batched ? " behind the batch dimension" : ""));
  }
  spec.shape = dims;
  return spec;
}

// Completes one list; the specifications come in the file's order.
template <typename Tensor>
Result<std::vector<TensorSpec>> agree_all(std::string_view field, const std::vector<TensorSpec>& file, bool batched,
                                          google::protobuf::RepeatedPtrField<Tensor>& written) {
  std::map<std::string_view, const TensorSpec*> by_name;
  for (const TensorSpec& tensor : file) {
    by_name.emplace(tensor.name, &tensor);
  }
  std::map<std::string_view, TensorSpec> agreed;
  for (Tensor& tensor : written) {
    const auto known = by_name.find(tensor.name());
    if (known == by_name.end()) {
      std::string names;
      for (std::size_t i = 0; i < std::min<std::size_t>(file.size(), 16); ++i) {
        names += (i > 0 ? ", " : "") + in_quotes(file[i].name);
      }
      return invalid_argument(std::string(field) + " " + in_quotes(tensor.name()) + ": the model file has no such " +
                              std::string(field) + ", only " + names);
    }
    TESSERA_ASSIGN_OR_RETURN(TensorSpec spec, agree(field, tensor, *known->second, batched));
    agreed.emplace(known->first, std::move(spec));
  }
  std::vector<TensorSpec> specs;
  for (const TensorSpec& tensor : file) {
    const auto known = agreed.find(tensor.name);
    if (known != agreed.end()) {
      specs.push_back(known->second);
      continue;
    }
    specs.push_back(tensor);
    if (batched) specs.back().shape = tensor.shape.without_first();
    written.Add()->set_name(tensor.name);
  }
  for (Tensor& tensor : written) {
    const TensorSpec& spec =
        *std::find_if(specs.begin(), specs.end(), [&](const TensorSpec& s) { return s.name == tensor.name(); });
    tensor.set_data_type(data_type_of(spec.dtype));
    if (tensor.dims_size() == 0) {
      tensor.mutable_dims()->Add(spec.shape.dims().begin(), spec.shape.dims().end());
    }
  }
  return specs;
}

}  // namespace

inference::DataType data_type_of(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return inference::TYPE_BOOL;
    case DType::kUint8:
      return inference::TYPE_UINT8;
    case DType::kUint16:
      return inference::TYPE_UINT16;
    case DType::kUint32:
      return inference::TYPE_UINT32;
    case DType::kUint64:
      return inference::TYPE_UINT64;
    case DType::kInt8:
      return inference::TYPE_INT8;
    case DType::kInt16:
      return inference::TYPE_INT16;
    case DType::kInt32:
      return inference::TYPE_INT32;
    case DType::kInt64:
      return inference::TYPE_INT64;
    case DType::kFp16:
      return inference::TYPE_FP16;
    case DType::kBf16:
      return inference::TYPE_BF16;
    case DType::kFp32:
      return inference::TYPE_FP32;
    case DType::kFp64:
      return inference::TYPE_FP64;
    case DType::kBytes:
      return inference::TYPE_STRING;
  }
  return inference::TYPE_INVALID;
}

DType dtype_of(inference::DataType type) {
  for (int i = 0; i <= static_cast<int>(DType::kBytes); ++i) {
    if (data_type_of(static_cast<DType>(i)) == type) {
      return static_cast<DType>(i);
    }
  }
  TESSERA_CHECK(false && "no element type");
  return DType::kFp32;
}

Result<ModelSignature> complete_tensors(const WrittenConfig& written, const engine::FileSignature& file,
                                        inference::ModelConfig& completed) {
  TESSERA_RETURN_IF_ERROR(check_file(file.inputs, "input"));
  TESSERA_RETURN_IF_ERROR(check_file(file.outputs, "output"));
  TESSERA_RETURN_IF_ERROR(check_written(completed.input(), "input"));
  TESSERA_RETURN_IF_ERROR(check_written(completed.output(), "output"));
  ModelSignature signature;
  TESSERA_ASSIGN_OR_RETURN(signature.max_batch_size, batch_size(written, file));
  const bool batched = signature.max_batch_size > 0;
  TESSERA_ASSIGN_OR_RETURN(signature.inputs, agree_all("input", file.inputs, batched, *completed.mutable_input()));
  TESSERA_ASSIGN_OR_RETURN(signature.outputs, agree_all("output", file.outputs, batched, *completed.mutable_output()));
  TESSERA_RETURN_IF_ERROR(check_formats(completed));
  completed.set_max_batch_size(signature.max_batch_size);
  return signature;
}

}  // namespace tessera::model
