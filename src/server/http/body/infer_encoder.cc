#include "server/http/body/infer_encoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "server/half.h"
#include "server/http/body/json_text.h"

namespace tessera::server::http {
namespace {

template <typename T>
void append_floating(std::string& out, T value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
  } else {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value);
    const std::string_view digits(text, static_cast<std::size_t>(end.ptr - text));
    out += digits;
    // Kept recognisable as floating point for readers that tell 1 from 1.0.
    if (digits.find_first_of(".e") == std::string_view::npos) {
      out += ".0";
    }
  }
}

template <typename T, typename Append>
void append_values(std::string& out, std::span<const std::byte> data, Append append) {
  for (std::size_t at = 0; at + sizeof(T) <= data.size(); at += sizeof(T)) {
    T value{};
    std::memcpy(&value, data.data() + at, sizeof value);
    if (at > 0) {
      out += ',';
    }
    append(out, value);
  }
}

template <typename T>
void append_integers(std::string& out, std::span<const std::byte> data) {
  append_values<T>(out, data, [](std::string& to, T value) { append_integer(to, value); });
}

Status append_strings(std::string& out, std::span<const std::byte> data, std::string_view output) {
  for (std::size_t at = 0; at < data.size();) {
    std::uint32_t length = 0;
    TESSERA_CHECK(data.size() - at >= sizeof length);
    std::memcpy(&length, data.data() + at, sizeof length);
    if (at > 0) {
      out += ',';
    }
    at += sizeof length;
    TESSERA_CHECK(data.size() - at >= length);
    if (!append_json_string(out, {reinterpret_cast<const char*>(data.data()) + at, length})) {
      return invalid_argument("output '" + std::string(output) + "' is not UTF-8: ask for it as binary data");
    }
    at += length;
  }
  return ok_status();
}

Status append_data(std::string& out, const TensorView& tensor, std::string_view output) {
  const std::span<const std::byte> data = tensor.data;
  switch (tensor.dtype) {
    case DType::kBool:
      append_values<std::uint8_t>(out, data,
                                  [](std::string& to, std::uint8_t value) { to += value != 0 ? "true" : "false"; });
      break;
    case DType::kUint8:
      append_integers<std::uint8_t>(out, data);
      break;
    case DType::kUint16:
      append_integers<std::uint16_t>(out, data);
      break;
    case DType::kUint32:
      append_integers<std::uint32_t>(out, data);
      break;
    case DType::kUint64:
      append_integers<std::uint64_t>(out, data);
      break;
    case DType::kInt8:
      append_integers<std::int8_t>(out, data);
      break;
    case DType::kInt16:
      append_integers<std::int16_t>(out, data);
      break;
    case DType::kInt32:
      append_integers<std::int32_t>(out, data);
      break;
    case DType::kInt64:
      append_integers<std::int64_t>(out, data);
      break;
    case DType::kFp16:
      append_values<std::uint16_t>(
          out, data, [](std::string& to, std::uint16_t bits) { append_floating(to, float_from_fp16(bits)); });
      break;
    case DType::kBf16:
      append_values<std::uint16_t>(
          out, data, [](std::string& to, std::uint16_t bits) { append_floating(to, float_from_bf16(bits)); });
      break;
    case DType::kFp32:
      append_values<float>(out, data, append_floating<float>);
      break;
    case DType::kFp64:
      append_values<double>(out, data, append_floating<double>);
      break;
    case DType::kBytes:
      return append_strings(out, data, output);
  }
  return ok_status();
}

void append_shape(std::string& out, const Shape& shape) {
  out += ",\"shape\":[";
  for (std::size_t i = 0; i < shape.rank(); ++i) {
    if (i > 0) {
      out += ',';
    }
    append_integer(out, shape[i]);
  }
  out += ']';
}

bool wants_binary(const FinishedOutput& output, const AnswerForm& form) {
  const auto asked = std::find_if(form.outputs.begin(), form.outputs.end(),
                                  [&output](const OutputOptions& option) { return option.name == output.name; });
  return asked != form.outputs.end() ? asked->binary.value_or(form.binary_output) : form.binary_output;
}

}  // namespace

Status encode_answer(const InferResponse& response, std::string_view id, std::span<const FinishedOutput> outputs,
                     const AnswerForm& form, std::string& json, std::vector<std::span<const std::byte>>& tensors) {
  json += '{';
  if (!id.empty()) {
    json += "\"id\":";
    append_json_text(json, id);
    json += ',';
  }
  json += "\"model_name\":";
  append_json_text(json, response.model);
  json += ",\"model_version\":\"";
  append_integer(json, response.version);
  json += "\",\"outputs\":[";
  bool first = true;
  for (const FinishedOutput& output : outputs) {
    json += first ? "{\"name\":" : ",{\"name\":";
    first = false;
    append_json_text(json, output.name);
    json += ",\"datatype\":\"";
    json += protocol_name(output.tensor.dtype);
    json += '"';
    append_shape(json, output.tensor.shape);
    if (output.shared_memory) {
      // Nothing more: Triton's C++ client takes any parameters here for those of binary data.
    } else if (wants_binary(output, form)) {
      json += ",\"parameters\":{\"binary_data_size\":";
      append_integer(json, output.tensor.data.size());
      json += '}';
      tensors.push_back(output.tensor.data);
    } else {
      json += ",\"data\":[";
      TESSERA_RETURN_IF_ERROR(append_data(json, output.tensor, output.name));
      json += ']';
    }
    json += '}';
  }
  json += "]}";
  return ok_status();
}

}  // namespace tessera::server::http
