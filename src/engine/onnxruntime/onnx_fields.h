// Reads what an ONNX file holds: the protobuf wire format (https://protobuf.dev/programming-guides/encoding/).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace tessera::engine {

// Walks the fields of one message. After next() returned false, ok() tells the end from a malformed message. Owned by
// one thread; views into bytes that the caller keeps.
class OnnxFields {
 public:
  explicit OnnxFields(std::span<const std::byte> message) : rest_(message) {}

  bool next() {
    if (!ok_ || rest_.empty()) {
      return false;
    }
    std::uint64_t key = 0;
    if (!varint(key)) {
      return ok_ = false;
    }
    field_ = static_cast<std::uint32_t>(key >> 3);
    is_integer_ = (key & 7) == 0;
    bytes_ = {};
    value_ = 0;
    switch (key & 7) {
      case 0:
        return ok_ = varint(value_);
      case 1:
        return ok_ = take(8);
      case 2: {
        std::uint64_t size = 0;
        return ok_ = varint(size) && take(size);
      }
      case 5:
        return ok_ = take(4);
      default:
        return ok_ = false;
    }
  }

  bool ok() const { return ok_; }
  std::uint32_t field() const { return field_; }
  bool is_integer() const { return is_integer_; }
  std::uint64_t integer() const { return value_; }             // 0 unless is_integer()
  std::span<const std::byte> bytes() const { return bytes_; }  // empty if is_integer()
  std::string text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }

 private:
  bool varint(std::uint64_t& out) {
    out = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = std::to_integer<std::uint64_t>(rest_.front());
      rest_ = rest_.subspan(1);
      out |= (byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) {
        return true;
      }
    }
    return false;
  }
  bool take(std::uint64_t size) {
    if (size > rest_.size()) {
      return false;
    }
    bytes_ = rest_.first(size);
    rest_ = rest_.subspan(size);
    return true;
  }

  std::span<const std::byte> rest_;
  std::span<const std::byte> bytes_;
  std::uint64_t value_ = 0;
  std::uint32_t field_ = 0;
  bool is_integer_ = false;
  bool ok_ = true;
};

}  // namespace tessera::engine
