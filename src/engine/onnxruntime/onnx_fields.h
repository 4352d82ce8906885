// Reads what an ONNX file holds: the protobuf wire format (https://protobuf.dev/programming-guides/encoding/).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"

namespace tessera::engine {

inline Error malformed_model() {
  return invalid_argument("the file is not a valid ONNX model: malformed protobuf message");
}

// How the wire format lays out a field; what it numbers 3 and 4, groups, occurs in no ONNX file.
enum class WireType : std::uint8_t { kInteger = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

// What stands before a field's content.
struct OnnxFieldHead {
  static constexpr std::size_t kMostBytes = 20;  // two numbers of 10 bytes

  std::uint32_t field = 0;
  WireType type = WireType::kInteger;
  std::uint64_t integer = 0;     // the value of a kInteger, which has no content
  std::uint64_t content = 0;     // bytes that follow the head; there may be fewer
  std::size_t bytes = 0;         // of the head
  std::size_t length_bytes = 0;  // of these the last, which say how long a kLengthDelimited is
};

// A number at the start of `rest`, which moves behind it; nothing where it does not end.
inline std::optional<std::uint64_t> read_varint(std::span<const std::byte>& rest) {
  std::uint64_t out = 0;
  for (unsigned shift = 0; shift < 64 && !rest.empty(); shift += 7) {
    const auto byte = std::to_integer<std::uint64_t>(rest.front());
    rest = rest.subspan(1);
    out |= (byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      return out;
    }
  }
  return std::nullopt;
}

// Of the field that starts where `message` does; nothing if that is malformed.
inline std::optional<OnnxFieldHead> read_head(std::span<const std::byte> message) {
  std::span<const std::byte> rest = message;
  const auto key = read_varint(rest);
  if (!key) {
    return std::nullopt;
  }
  OnnxFieldHead head;
  head.field = static_cast<std::uint32_t>(*key >> 3);
  head.type = static_cast<WireType>(*key & 7);
  const std::size_t after_key = rest.size();
  switch (head.type) {
    case WireType::kInteger:
    case WireType::kLengthDelimited: {
      const auto number = read_varint(rest);
      if (!number) {
        return std::nullopt;
      }
      const bool is_integer = head.type == WireType::kInteger;
      (is_integer ? head.integer : head.content) = *number;
      head.length_bytes = is_integer ? 0 : after_key - rest.size();
      break;
    }
    case WireType::kFixed64:
      head.content = 8;
      break;
    case WireType::kFixed32:
      head.content = 4;
      break;
    default:
      return std::nullopt;
  }
  head.bytes = message.size() - rest.size();
  return head;
}

// Walks the fields of one message. After next() returned false, ok() tells the end from a malformed message. Owned by
// one thread; views into bytes that the caller keeps.
class OnnxFields {
 public:
  explicit OnnxFields(std::span<const std::byte> message) : rest_(message) {}

  bool next() {
    if (!ok_ || rest_.empty()) {
      return false;
    }
    const auto head = read_head(rest_);
    ok_ = head && head->content <= rest_.size() - head->bytes;
    if (ok_) {
      head_ = *head;
      bytes_ = rest_.subspan(head->bytes, head->content);
      rest_ = rest_.subspan(head->bytes + head->content);
    }
    return ok_;
  }

  bool ok() const { return ok_; }
  std::uint32_t field() const { return head_.field; }
  bool is_integer() const { return head_.type == WireType::kInteger; }
  std::uint64_t integer() const { return head_.integer; }      // 0 unless is_integer()
  std::span<const std::byte> bytes() const { return bytes_; }  // empty if is_integer()
  std::string text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }

 private:
  std::span<const std::byte> rest_;
  std::span<const std::byte> bytes_;
  OnnxFieldHead head_;
  bool ok_ = true;
};

}  // namespace tessera::engine
