#include "server/http/body/infer_json.h"

#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <new>
#include <utility>

namespace tessera::server::http {
namespace {

namespace json = boost::json;
using JsonError = boost::json::error_code;

std::string_view view_of(json::string_view text) { return {text.data(), text.size()}; }

// The fields of the protocol, so that a key is compared once.
enum class Key {
  kOther,
  kId,
  kParameters,
  kInputs,
  kOutputs,
  kName,
  kShape,
  kDatatype,
  kData,
};

Key key_of(std::string_view text) {
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

}  // namespace

// The handler that Boost.JSON's parser calls. A stack of places says what the next value means.
class InferJson::Handler {
 public:
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = kMaxNameBytes;
  static constexpr std::size_t max_string_size = std::size_t(-1);

  Handler(InferRequest& request, const Lease& lease, std::size_t max_tensor_bytes)
      : request_(request), lease_(lease), max_tensor_bytes_(max_tensor_bytes) {}

  JsonRequest result;
  Status failure;

  bool on_document_begin(JsonError&) { return true; }
  bool on_document_end(JsonError&) { return true; }
  bool on_object_begin(JsonError& ec) { return check(begin_object(), ec); }
  bool on_object_end(std::size_t, JsonError& ec) { return check(end_object(), ec); }
  bool on_array_begin(JsonError& ec) { return check(begin_array(), ec); }
  bool on_array_end(std::size_t, JsonError& ec) { return check(end_array(), ec); }

  bool on_key_part(json::string_view part, std::size_t, JsonError&) {
    key_text_.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view last, std::size_t, JsonError&) {
    key_text_.append(last.data(), last.size());
    if (place() != Place::kIgnored) {
      key_name_.swap(key_text_);
      key_ = key_of(key_name_);
    }
    key_text_.clear();
    return true;
  }

  bool on_string_part(json::string_view part, std::size_t size, JsonError& ec) {
    return check(string_part(view_of(part), size, false), ec);
  }
  bool on_string(json::string_view last, std::size_t size, JsonError& ec) {
    return check(string_part(view_of(last), size, true), ec);
  }

  bool on_number_part(json::string_view part, JsonError& ec) {
    number_.append(part.data(), part.size());
    return check(number_.size() <= kMaxNumberBytes ? ok_status() : Status(invalid_argument("a number is too long")),
                 ec);
  }
  bool on_int64(std::int64_t value, json::string_view, JsonError& ec) {
    number_.clear();
    return check(place() == Place::kData ? filled(builder().add_integer(value)) : scalar(value), ec);
  }
  bool on_uint64(std::uint64_t value, json::string_view, JsonError& ec) {
    number_.clear();
    return check(place() == Place::kData ? filled(builder().add_integer(value)) : scalar(value), ec);
  }
  bool on_double(double value, json::string_view last, JsonError& ec) {
    if (place() != Place::kData) {
      number_.clear();
      return check(scalar(value), ec);
    }
    // The parser's own conversion may be off by a unit in the last place, so the text is converted again.
    if (number_.empty()) {
      return check(last.size() <= kMaxNumberBytes ? filled(builder().add_number(view_of(last)))
                                                  : Status(invalid_argument("a number is too long")),
                   ec);
    }
    number_.append(last.data(), last.size());
    const Status added = filled(builder().add_number(number_));
    number_.clear();
    return check(added, ec);
  }
  bool on_bool(bool value, JsonError& ec) {
    return check(place() == Place::kData ? filled(builder().add_bool(value)) : scalar(value), ec);
  }
  bool on_null(JsonError& ec) {
    // As a field's value it stands for an absent field; some clients write every field they know.
    return (depth_ > 0 && place() == Place::kIgnored) || in_object() || check(unexpected("null"), ec);
  }
  bool on_comment_part(json::string_view, JsonError&) { return true; }
  bool on_comment(json::string_view, JsonError&) { return true; }

 private:
  enum class Place : std::uint8_t {
    kRoot,
    kParameters,
    kInputs,
    kInput,
    kShape,
    kInputParameters,
    kData,
    kOutputs,
    kOutput,
    kOutputParameters,
    kIgnored,
  };

  bool check(const Status& status, JsonError& ec) {
    if (status.ok()) {
      return true;
    }
    failure = status;
    ec = json::make_error_code(json::error::exception);
    return false;
  }

  Place place() const { return depth_ == 0 ? Place::kIgnored : stack_[depth_ - 1]; }
  bool in_object() const {
    const Place here = place();
    return here == Place::kRoot || here == Place::kParameters || here == Place::kInput ||
           here == Place::kInputParameters || here == Place::kOutput || here == Place::kOutputParameters;
  }
  // The parser's own limit on depth keeps the stack within its bounds.
  Status push(Place place) {
    TESSERA_CHECK(depth_ < stack_.size());
    stack_[depth_++] = place;
    return ok_status();
  }
  TensorBuilder& builder() { return *result.inputs.back().data; }

  Status filled(const Status& added) {
    TESSERA_RETURN_IF_ERROR(added);
    return builder().overfull() ? Status(invalid_argument("'data' holds more values than the shape asks for"))
                                : ok_status();
  }

  // Names the field that the current value belongs to.
  Status unexpected(std::string_view what) const {
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

  Status begin_object() {
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

  Status end_object() {
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

  Status begin_array() {
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

  Status begin_input_array() {
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

  static Status expect_elements(JsonInput& input) {
    const auto elements = input.shape->elements();
    if (!elements) {
      return invalid_argument("shape " + input.shape->to_string() + " of input '" + input.name +
                              "' is negative or too large");
    }
    return input.data->expect_elements(*elements);
  }

  Status end_array() {
    const Place ended = stack_[--depth_];
    if (ended == Place::kShape) {
      JsonInput& input = result.inputs.back();
      return input.data ? expect_elements(input) : ok_status();
    }
    return ok_status();
  }

  Status string_part(std::string_view part, std::size_t size, bool last) {
    if (place() == Place::kData) {
      const Status added = builder().add_string(part, last);
      return last ? filled(added) : added;
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
    const Status status = scalar(std::string_view(string_));
    string_.clear();
    return status;
  }

  // A value outside of `data`.
  Status scalar(const ParameterValue& value) {
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

  Status other_scalar() const { return key_ == Key::kParameters ? unexpected("a plain value") : ok_status(); }

  Status root_scalar(const ParameterValue& value) {
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

  Status set_name(const ParameterValue& value, std::string& name) {
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

  Status input_scalar(const ParameterValue& value) {
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

  Status add_dimension(const ParameterValue& value) {
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

  Status input_parameter(const ParameterValue& value) {
    JsonInput& input = result.inputs.back();
    if (key_name_ == "binary_data_size") {
      TESSERA_ASSIGN_OR_RETURN(input.binary_size, unsigned_parameter(key_name_, value));
      return ok_status();
    }
    TESSERA_ASSIGN_OR_RETURN(const bool known, input.shared_memory.apply(key_name_, value));
    static_cast<void>(known);
    return ok_status();
  }

  Status output_parameter(const ParameterValue& value) {
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

  InferRequest& request_;
  const Lease& lease_;
  const std::size_t max_tensor_bytes_;

  std::array<Place, kMaxJsonDepth + 1> stack_{};
  std::size_t depth_ = 0;
  Key key_ = Key::kOther;
  std::string key_name_;  // the key whose value is read
  std::string key_text_;  // parts of the key that is being read
  std::string string_;    // parts of a string outside of data
  std::string number_;    // parts of a number
  bool inputs_seen_ = false;
  bool outputs_seen_ = false;
  bool named_ = false;  // the input or output in progress has its name
  SharedMemoryParameters output_memory_;
};

class InferJson::Parser {
 public:
  Parser(InferRequest& request, const Lease& lease, std::size_t max_tensor_bytes)
      : parser_(options(), request, lease, max_tensor_bytes) {}

  JsonRequest& result() { return parser_.handler().result; }

  Status write(std::string_view text, bool more) {
    JsonError error;
    std::size_t used = 0;
    try {
      used = parser_.write_some(more, text.data(), text.size(), error);
    } catch (const std::bad_alloc&) {
      return Error(ErrorCode::kResourceExhausted, "no memory left for the request");
    }
    if (error) {
      Handler& handler = parser_.handler();
      return handler.failure.ok() ? malformed(error, text, used) : handler.failure;
    }
    if (used < text.size()) {
      return invalid_argument("malformed JSON: text behind the end of the object, at byte " +
                              std::to_string(read_ + used));
    }
    read_ += used;
    return ok_status();
  }

  bool done() const { return parser_.done(); }

 private:
  static json::parse_options options() {
    json::parse_options options;
    options.max_depth = kMaxJsonDepth;
    return options;
  }

  Error malformed(const JsonError& error, std::string_view text, std::size_t used) const {
    std::string message = "malformed JSON: " + error.message() + ", at byte " + std::to_string(read_ + used);
    if (error == json::error::too_deep) {
      message += "; at most " + std::to_string(kMaxJsonDepth) + " levels are read";
    } else if (used < text.size() && (text[used] == 'N' || text[used] == 'I')) {
      message += "; send NaN and Infinity as binary data";
    }
    return invalid_argument(std::move(message));
  }

  json::basic_parser<Handler> parser_;
  std::size_t read_ = 0;
};

InferJson::InferJson(InferRequest& request, const Lease& lease, std::size_t max_tensor_bytes)
    : parser_(std::make_unique<Parser>(request, lease, max_tensor_bytes)) {}
InferJson::~InferJson() = default;

Status InferJson::feed(std::string_view text) { return text.empty() ? ok_status() : parser_->write(text, true); }
Status InferJson::finish() { return parser_->done() ? ok_status() : parser_->write({}, false); }
JsonRequest& InferJson::result() { return parser_->result(); }

}  // namespace tessera::server::http
