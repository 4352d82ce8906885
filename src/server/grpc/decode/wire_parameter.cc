#include "server/grpc/decode/wire_parameter.h"

#include <bit>
#include <string_view>

#include "server/grpc/decode/infer_decoder.h"

namespace tessera::server {
namespace {

// The oneof of InferParameter (grpc_service.proto).
void read_content(RequestFields& reader, WireParameter& out) {
  while (const auto field = reader.next()) {
    if (field->is(1, WireType::kVarint)) {
      out.content = reader.varint() != 0;
    } else if (field->is(2, WireType::kVarint)) {
      out.content = static_cast<std::int64_t>(reader.varint());
    } else if (field->is(3, WireType::kLength)) {
      out.content = reader.string(kMaxNameBytes);
    } else if (field->is(4, WireType::kFixed64)) {
      out.content = std::bit_cast<double>(reader.fixed64());
    } else if (field->is(5, WireType::kVarint)) {
      out.content = reader.varint();
    } else {
      reader.skip(*field);
    }
  }
}

struct ToValue {
  std::optional<ParameterValue> operator()(std::monostate) const { return std::nullopt; }
  std::optional<ParameterValue> operator()(const std::string& text) const {
    return ParameterValue(std::string_view(text));
  }
  template <typename T>
  std::optional<ParameterValue> operator()(T value) const {
    return ParameterValue(value);
  }
};

}  // namespace

std::optional<ParameterValue> WireParameter::value() const { return std::visit(ToValue{}, content); }

WireParameter read_parameter(RequestFields& reader) {
  WireParameter out;
  reader.message([&] {
    while (const auto field = reader.next()) {
      if (field->is(1, WireType::kLength)) {
        out.key = reader.string(kMaxNameBytes);
      } else if (field->is(2, WireType::kLength)) {
        reader.message([&] { read_content(reader, out); });
      } else {
        reader.skip(*field);
      }
    }
  });
  return out;
}

}  // namespace tessera::server
