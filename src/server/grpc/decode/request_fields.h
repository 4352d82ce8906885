// Reads one protobuf message, field by field, from bytes that lie in several pieces, building no objects.
#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace tessera::server {

using ByteSpans = std::span<const std::span<const std::byte>>;

// How a field is encoded (protobuf encoding, "Message structure").
enum class WireType : std::uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kLength = 2,
  kStartGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5
};

struct WireField {
  std::uint32_t number = 0;
  WireType type = WireType::kVarint;

  bool is(std::uint32_t wanted, WireType wanted_type) const { return number == wanted && type == wanted_type; }
};

// Where the content of a length-delimited field lies in the whole message.
struct WireRange {
  std::size_t offset = 0;
  std::size_t size = 0;
};

// The pieces as a protobuf input stream. Owned by one thread.
class SpanStream final : public google::protobuf::io::ZeroCopyInputStream {
 public:
  explicit SpanStream(ByteSpans spans) : spans_(spans) {}

  bool Next(const void** data, int* size) override;           // NOLINT(readability-identifier-naming)
  void BackUp(int count) override;                            // NOLINT(readability-identifier-naming)
  bool Skip(int count) override;                              // NOLINT(readability-identifier-naming)
  std::int64_t ByteCount() const override { return count_; }  // NOLINT(readability-identifier-naming)

 private:
  ByteSpans spans_;
  std::size_t next_ = 0;    // the span that Next gives
  std::size_t offset_ = 0;  // into it
  std::int64_t count_ = 0;
};

// Every length is checked against what encloses it before anything is read. The first thing that is wrong makes the
// reader broken: from then on it has no more fields and every value is empty. Owned by one thread.
class RequestFields {
 public:
  // All of the bytes, or the range of them that is a message of its own. At most 2 GiB.
  explicit RequestFields(ByteSpans spans);
  RequestFields(ByteSpans spans, WireRange range);
  RequestFields(const RequestFields&) = delete;
  RequestFields& operator=(const RequestFields&) = delete;

  bool broken() const { return broken_; }

  // The next field of the message being read; its value has to be read or skipped next. Nothing at the end.
  std::optional<WireField> next();
  void skip(const WireField& field);

  // Values. The field must be of the type that the call names.
  std::uint64_t varint();
  std::uint32_t fixed32();
  std::uint64_t fixed64();
  std::string string(std::size_t limit);  // longer ones break the reader
  WireRange skip_length();                // steps over the content
  // Copies a content of which the size is known to be out.size().
  void bytes(std::span<std::byte> out);
  std::size_t length();  // the size of a content that bytes() or within() follows

  // Calls body() to read a length-delimited content, which must use all of it.
  template <typename Body>
  void message(Body&& body) {
    const std::size_t size = length();
    if (broken_) return;
    const auto outer = coded_.PushLimit(static_cast<int>(size));
    body();
    if (coded_.BytesUntilLimit() != 0) broken_ = true;
    coded_.PopLimit(outer);
  }

  // Whether the content being read (see message) has bytes left: how packed repeated values end.
  bool more() const { return !broken_ && coded_.BytesUntilLimit() > 0; }

  void fail() { broken_ = true; }

 private:
  SpanStream stream_;
  google::protobuf::io::CodedInputStream coded_;
  bool broken_ = false;
};

// Copies `range` of the pieces to `out`, of the same size.
void copy_range(ByteSpans spans, WireRange range, std::span<std::byte> out);

std::size_t total_size(ByteSpans spans);

}  // namespace tessera::server
