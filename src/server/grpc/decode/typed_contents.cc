#include "server/grpc/decode/typed_contents.h"

#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>

#include "base/check.h"

namespace tessera::server {
namespace {

// The repeated fields of InferTensorContents (grpc_service.proto).
enum Field : std::uint32_t { kBools = 1, kInts, kInt64s, kUints, kUint64s, kFp32s, kFp64s, kBytesValues };

constexpr std::array<std::string_view, 9> kFieldNames = {"",
                                                         "bool_contents",
                                                         "int_contents",
                                                         "int64_contents",
                                                         "uint_contents",
                                                         "uint64_contents",
                                                         "fp32_contents",
                                                         "fp64_contents",
                                                         "bytes_contents"};

std::optional<Field> field_of(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return kBools;
    case DType::kInt8:
    case DType::kInt16:
    case DType::kInt32:
      return kInts;
    case DType::kInt64:
      return kInt64s;
    case DType::kUint8:
    case DType::kUint16:
    case DType::kUint32:
      return kUints;
    case DType::kUint64:
      return kUint64s;
    case DType::kFp32:
      return kFp32s;
    case DType::kFp64:
      return kFp64s;
    case DType::kBytes:
      return kBytesValues;
    case DType::kFp16:
    case DType::kBf16:
      break;
  }
  return std::nullopt;
}

// Counts, or also writes where it has somewhere to write to.
class Sink {
 public:
  explicit Sink(std::optional<std::span<std::byte>> out) : out_(out) {}

  std::size_t size() const { return size_; }

  template <typename T>
  void put(T value) {
    if (out_) std::memcpy(room(sizeof(T)).data(), &value, sizeof(T));
    size_ += sizeof(T);
  }

  // One length-prefixed element.
  void put_bytes(RequestFields& reader) {
    if (!out_) {
      size_ += sizeof(std::uint32_t) + reader.skip_length().size;
      return;
    }
    const std::size_t length = reader.length();
    put(static_cast<std::uint32_t>(length));
    reader.bytes(room(length));
    size_ += length;
  }

 private:
  std::span<std::byte> room(std::size_t bytes) {
    TESSERA_CHECK(bytes <= out_->size() - size_);
    return out_->subspan(size_, bytes);
  }

  std::optional<std::span<std::byte>> out_;
  std::size_t size_ = 0;
};

// Protobuf sends the narrow integers as 32-bit ones; those that do not fit are refused instead of cut.
template <typename T, typename Wide>
bool put_integer(Wide value, Sink& sink) {
  if (value < static_cast<Wide>(std::numeric_limits<T>::min()) ||
      value > static_cast<Wide>(std::numeric_limits<T>::max())) {
    return false;
  }
  sink.put(static_cast<T>(value));
  return true;
}

// False: the value does not fit.
bool put_varint(std::uint64_t raw, DType dtype, Sink& sink) {
  const auto as_int = static_cast<std::int32_t>(raw);
  const auto as_uint = static_cast<std::uint32_t>(raw);
  switch (dtype) {
    case DType::kBool:
      sink.put(static_cast<std::uint8_t>(raw != 0));
      return true;
    case DType::kInt8:
      return put_integer<std::int8_t>(as_int, sink);
    case DType::kInt16:
      return put_integer<std::int16_t>(as_int, sink);
    case DType::kInt32:
      sink.put(as_int);
      return true;
    case DType::kInt64:
      sink.put(static_cast<std::int64_t>(raw));
      return true;
    case DType::kUint8:
      return put_integer<std::uint8_t>(as_uint, sink);
    case DType::kUint16:
      return put_integer<std::uint16_t>(as_uint, sink);
    case DType::kUint32:
      sink.put(as_uint);
      return true;
    default:
      sink.put(raw);
      return true;
  }
}

// One value of the field for `dtype`, unpacked or inside a packed run.
bool put_value(RequestFields& reader, DType dtype, Sink& sink) {
  if (dtype == DType::kFp32) {
    sink.put(reader.fixed32());
    return true;
  }
  if (dtype == DType::kFp64) {
    sink.put(reader.fixed64());
    return true;
  }
  return put_varint(reader.varint(), dtype, sink);
}

WireType type_of(Field field) {
  switch (field) {
    case kFp32s:
      return WireType::kFixed32;
    case kFp64s:
      return WireType::kFixed64;
    case kBytesValues:
      return WireType::kLength;
    default:
      return WireType::kVarint;
  }
}

Error wrong_field(std::string_view input, std::uint32_t got, DType dtype, Field wanted) {
  return invalid_argument("input '" + std::string(input) + "' has " + std::string(kFieldNames[got]) +
                          ", but its datatype " + std::string(protocol_name(dtype)) + " is sent as " +
                          std::string(kFieldNames[wanted]));
}

Status read(RequestFields& reader, DType dtype, std::string_view input, Sink& sink) {
  const auto wanted = field_of(dtype);
  if (!wanted) {
    return invalid_argument("input '" + std::string(input) + "' is " + std::string(protocol_name(dtype)) +
                            ", for which there are no typed contents: send it in raw_input_contents");
  }
  bool fits = true;
  while (const auto field = reader.next()) {
    if (field->number > kBytesValues) {
      reader.skip(*field);
    } else if (field->number != *wanted) {
      return wrong_field(input, field->number, dtype, *wanted);
    } else if (*wanted == kBytesValues && field->type == WireType::kLength) {
      sink.put_bytes(reader);
    } else if (field->type == WireType::kLength) {
      reader.message([&] {
        while (fits && reader.more()) fits = put_value(reader, dtype, sink);
        if (!fits) reader.fail();
      });
    } else if (field->type == type_of(*wanted)) {
      fits = put_value(reader, dtype, sink);
    } else {
      reader.fail();
    }
    if (!fits) {
      return invalid_argument("a value in " + std::string(kFieldNames[*wanted]) + " of input '" + std::string(input) +
                              "' does not fit " + std::string(protocol_name(dtype)));
    }
  }
  if (reader.broken()) return invalid_argument("malformed contents of input '" + std::string(input) + "'");
  return ok_status();
}

}  // namespace

Result<std::size_t> measure_contents(ByteSpans message, WireRange range, DType dtype, std::string_view input) {
  RequestFields reader(message, range);
  Sink sink(std::nullopt);
  TESSERA_RETURN_IF_ERROR(read(reader, dtype, input, sink));
  return sink.size();
}

Status write_contents(ByteSpans message, WireRange range, DType dtype, std::string_view input,
                      std::span<std::byte> out) {
  RequestFields reader(message, range);
  Sink sink(out);
  TESSERA_RETURN_IF_ERROR(read(reader, dtype, input, sink));
  TESSERA_CHECK(sink.size() == out.size());
  return ok_status();
}

}  // namespace tessera::server
