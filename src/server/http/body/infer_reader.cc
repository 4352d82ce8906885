#include "server/http/body/infer_reader.h"

#include <algorithm>
#include <utility>

namespace tessera::server::http {

InferReader::Key InferReader::key_of(std::string_view text) {
  struct Row {
    std::string_view text;
    Key key;
  };
  static constexpr std::array<Row, 8> kRows{{{"name", Key::kName},
                                             {"shape", Key::kShape},
                                             {"datatype", Key::kDatatype},
                                             {"data", Key::kData},
                                             {"parameters", Key::kParameters},
                                             {"inputs", Key::kInputs},
                                             {"outputs", Key::kOutputs},
                                             {"id", Key::kId}}};
  for (const Row& row : kRows) {
    if (row.text == text) {
      return row.key;
    }
  }
  return Key::kOther;
}

bool InferReader::in_object() const {
  const Place here = place();
  return here == Place::kRoot || here == Place::kParameters || here == Place::kInput ||
         here == Place::kInputParameters || here == Place::kOutput || here == Place::kOutputParameters;
}

Status InferReader::push(Place place) {
  TESSERA_CHECK(depth_ < stack_.size());
  stack_[depth_++] = place;
  return ok_status();
}

void InferReader::key(std::string_view part, bool last) {
  key_text_.append(part);
  if (!last) {
    return;
  }
  if (place() != Place::kIgnored) {
    key_name_.swap(key_text_);
    key_ = key_of(key_name_);
  }
  key_text_.clear();
}

Status InferReader::not_filled(const Status& added) const {
  const Error error = added.ok() ? invalid_argument("'data' holds more values than the shape asks for") : added.error();
  // What the lease says is not about the values.
  return error.code() == ErrorCode::kInvalidArgument ? error.in("input '" + result.inputs.back().name + "'") : error;
}

Status InferReader::null() {
  // As a field's value it stands for an absent field; some clients write every field they know.
  return (depth_ > 0 && place() == Place::kIgnored) || in_object() ? ok_status() : unexpected("null");
}

Status InferReader::unexpected(std::string_view what) const {
  switch (place()) {
    case Place::kShape:
      return invalid_argument("'shape' must be an array of whole numbers");
    case Place::kData:
      return invalid_argument("'data' may not hold " + std::string(what));
    case Place::kInputs:
      return invalid_argument("'inputs' must be an array of objects");
    case Place::kOutputs:
      return invalid_argument("'outputs' must be an array of objects");
    default:
      return invalid_argument("field '" + key_name_ + "' may not be " + std::string(what));
  }
}

Status InferReader::begin_object() {
  if (depth_ == 0) {
    return push(Place::kRoot);
  }
  switch (place()) {
    case Place::kIgnored:
      return push(Place::kIgnored);
    case Place::kInputs:
      if (result.inputs.size() == kMaxTensorsPerRequest) {
        return invalid_argument("a request may have " + std::to_string(kMaxTensorsPerRequest) + " inputs");
      }
      result.inputs.emplace_back();
      named_ = false;
      return push(Place::kInput);
    case Place::kOutputs:
      if (result.outputs.size() == kMaxTensorsPerRequest) {
        return invalid_argument("a request may have " + std::to_string(kMaxTensorsPerRequest) + " outputs");
      }
      result.outputs.emplace_back();
      output_memory_ = {};
      named_ = false;
      return push(Place::kOutput);
    case Place::kRoot:
    case Place::kInput:
    case Place::kOutput:
      if (key_ == Key::kParameters) {
        return push(place() == Place::kRoot    ? Place::kParameters
                    : place() == Place::kInput ? Place::kInputParameters
                                               : Place::kOutputParameters);
      }
      return key_ == Key::kOther ? push(Place::kIgnored) : unexpected("an object");
    case Place::kParameters:
    case Place::kInputParameters:
    case Place::kOutputParameters:
      return push(Place::kIgnored);
    case Place::kShape:
    case Place::kData:
      break;
  }
  return unexpected("an object");
}

Status InferReader::end_object() {
  const Place ended = stack_[--depth_];
  if (ended == Place::kOutput) {
    if (!named_) {
      return invalid_argument("an output has no 'name'");
    }
    TESSERA_ASSIGN_OR_RETURN(result.outputs.back().shared_memory, output_memory_.range(result.outputs.back().name));
  } else if (ended == Place::kInput && !named_) {
    return invalid_argument("an input has no 'name'");
  }
  return ok_status();
}

Status InferReader::begin_array() {
  if (depth_ == 0) {
    return invalid_argument("an inference request must be a JSON object");
  }
  switch (place()) {
    case Place::kData:
      return push(Place::kData);
    case Place::kRoot:
      if (key_ == Key::kInputs || key_ == Key::kOutputs) {
        bool& seen = key_ == Key::kInputs ? inputs_seen_ : outputs_seen_;
        if (std::exchange(seen, true)) {
          return invalid_argument("field '" + key_name_ + "' is given twice");
        }
        return push(key_ == Key::kInputs ? Place::kInputs : Place::kOutputs);
      }
      return key_ == Key::kOther ? push(Place::kIgnored) : unexpected("an array");
    case Place::kInput:
      return begin_input_array();
    case Place::kOutput:
      return key_ == Key::kOther ? push(Place::kIgnored) : unexpected("an array");
    case Place::kIgnored:
    case Place::kParameters:
    case Place::kInputParameters:
    case Place::kOutputParameters:
      return push(Place::kIgnored);
    case Place::kInputs:
    case Place::kOutputs:
    case Place::kShape:
      break;
  }
  return unexpected("an array");
}

Status InferReader::begin_input_array() {
  JsonInput& input = result.inputs.back();
  if (key_ == Key::kShape) {
    if (input.shape) {
      return invalid_argument("field 'shape' is given twice");
    }
    input.shape.emplace();
    return push(Place::kShape);
  }
  if (key_ == Key::kData) {
    if (input.data) {
      return invalid_argument("field 'data' is given twice");
    }
    input.data.emplace(lease_, max_tensor_bytes_);
    if (input.dtype) {
      TESSERA_RETURN_IF_ERROR(check_json_dtype(*input.dtype, input.name));
      TESSERA_RETURN_IF_ERROR(input.data->set_dtype(*input.dtype));
    }
    if (input.shape) {
      TESSERA_RETURN_IF_ERROR(expect_elements(input));
    }
    return push(Place::kData);
  }
  return key_ == Key::kOther ? push(Place::kIgnored) : unexpected("an array");
}

Status InferReader::expect_elements(JsonInput& input) {
  const auto elements = input.shape->elements();
  if (!elements) {
    return invalid_argument("shape " + input.shape->to_string() + " of input '" + input.name +
                            "' is negative or too large");
  }
  return input.data->expect_elements(*elements);
}

Status InferReader::end_array() {
  const Place ended = stack_[--depth_];
  if (ended == Place::kShape) {
    JsonInput& input = result.inputs.back();
    return input.data ? expect_elements(input) : ok_status();
  }
  return ok_status();
}

Status InferReader::string(std::string_view part, std::size_t size, bool last) {
  if (place() == Place::kData) {
    const Status added = builder().add_string(part, last);
    return last || !added.ok() ? filled(added) : added;
  }
  if (place() == Place::kIgnored && depth_ > 0) {
    return ok_status();
  }
  const bool is_id = place() == Place::kRoot && key_ == Key::kId;
  if (size > (is_id ? kMaxIdBytes : kMaxNameBytes)) {
    return invalid_argument("the string in field '" + key_name_ + "' is too long");
  }
  string_.append(part);
  if (!last) {
    return ok_status();
  }
  Status status = scalar(std::string_view(string_));
  string_.clear();
  return status;
}

Status InferReader::scalar(const ParameterValue& value) {
  if (depth_ == 0) {
    return invalid_argument("an inference request must be a JSON object");
  }
  switch (place()) {
    case Place::kIgnored:
      return ok_status();
    case Place::kRoot:
      return root_scalar(value);
    case Place::kParameters:
      if (key_name_ == "binary_data_output") {
        TESSERA_ASSIGN_OR_RETURN(result.binary_output, bool_parameter(key_name_, value));
        return ok_status();
      }
      return apply_request_parameter(key_name_, value, request_);
    case Place::kInput:
      return input_scalar(value);
    case Place::kShape:
      return add_dimension(value);
    case Place::kInputParameters:
      return input_parameter(value);
    case Place::kOutput:
      return key_ == Key::kName ? set_name(value, result.outputs.back().name) : other_scalar();
    case Place::kOutputParameters:
      return output_parameter(value);
    case Place::kInputs:
    case Place::kOutputs:
    case Place::kData:
      break;
  }
  return unexpected("a plain value");
}

Status InferReader::other_scalar() const {
  return key_ == Key::kParameters ? unexpected("a plain value") : ok_status();
}

Status InferReader::root_scalar(const ParameterValue& value) {
  if (key_ == Key::kId) {
    const auto* text = std::get_if<std::string_view>(&value);
    if (text == nullptr) {
      return invalid_argument("'id' must be a string");
    }
    result.id = *text;
    return ok_status();
  }
  if (key_ == Key::kInputs || key_ == Key::kOutputs) {
    return unexpected("a plain value");
  }
  return other_scalar();
}

Status InferReader::set_name(const ParameterValue& value, std::string& name) {
  const auto* text = std::get_if<std::string_view>(&value);
  if (text == nullptr) {
    return invalid_argument("'name' must be a string");
  }
  if (std::exchange(named_, true)) {
    return invalid_argument("field 'name' is given twice");
  }
  name = *text;
  return ok_status();
}

Status InferReader::input_scalar(const ParameterValue& value) {
  JsonInput& input = result.inputs.back();
  if (key_ == Key::kName) {
    return set_name(value, input.name);
  }
  if (key_ == Key::kShape || key_ == Key::kData) {
    return unexpected("a plain value");
  }
  if (key_ != Key::kDatatype) {
    return other_scalar();
  }
  const auto* text = std::get_if<std::string_view>(&value);
  const auto dtype = text != nullptr ? dtype_from_protocol_name(*text) : std::nullopt;
  if (!dtype) {
    return invalid_argument("'datatype' of input '" + input.name + "' is not one of the protocol: '" +
                            (text != nullptr ? std::string(*text) : std::string()) + "'");
  }
  if (input.dtype) {
    return invalid_argument("field 'datatype' is given twice");
  }
  input.dtype = *dtype;
  if (input.data) {
    TESSERA_RETURN_IF_ERROR(check_json_dtype(*dtype, input.name));
    return input.data->set_dtype(*dtype);
  }
  return ok_status();
}

Status InferReader::add_dimension(const ParameterValue& value) {
  JsonInput& input = result.inputs.back();
  const auto* dim = std::get_if<std::int64_t>(&value);
  if (dim == nullptr) {
    return unexpected("a plain value");
  }
  if (*dim < 0) {
    return invalid_argument("'shape' of input '" + input.name + "' has a negative dimension");
  }
  if (input.shape->rank() == Shape::kMaxRank) {
    return invalid_argument("'shape' of input '" + input.name + "' has more than " + std::to_string(Shape::kMaxRank) +
                            " dimensions");
  }
  input.shape->push_back(*dim);
  return ok_status();
}

Status InferReader::input_parameter(const ParameterValue& value) {
  JsonInput& input = result.inputs.back();
  if (key_name_ == "binary_data_size") {
    TESSERA_ASSIGN_OR_RETURN(input.binary_size, unsigned_parameter(key_name_, value));
    return ok_status();
  }
  TESSERA_ASSIGN_OR_RETURN(const bool known, input.shared_memory.apply(key_name_, value));
  static_cast<void>(known);
  return ok_status();
}

Status InferReader::output_parameter(const ParameterValue& value) {
  OutputOptions& output = result.outputs.back();
  if (key_name_ == "binary_data") {
    TESSERA_ASSIGN_OR_RETURN(output.binary, bool_parameter(key_name_, value));
    return ok_status();
  }
  if (key_name_ == "classification") {
    TESSERA_ASSIGN_OR_RETURN(const std::uint64_t count, unsigned_parameter(key_name_, value));
    output.classification = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, UINT32_MAX));
    return ok_status();
  }
  TESSERA_ASSIGN_OR_RETURN(const bool known, output_memory_.apply(key_name_, value));
  static_cast<void>(known);
  return ok_status();
}

}  // namespace tessera::server::http
