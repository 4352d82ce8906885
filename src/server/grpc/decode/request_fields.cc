#include "server/grpc/decode/request_fields.h"

#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/check.h"

namespace tessera::server {

using google::protobuf::internal::WireFormatLite;

bool SpanStream::Next(const void** data, int* size) {
  while (next_ < spans_.size() && offset_ == spans_[next_].size()) {
    ++next_;
    offset_ = 0;
  }
  if (next_ == spans_.size()) return false;
  const auto rest = spans_[next_].subspan(offset_);
  const auto given = std::min<std::size_t>(rest.size(), std::numeric_limits<int>::max());
  *data = rest.data();
  *size = static_cast<int>(given);
  offset_ += given;
  count_ += static_cast<std::int64_t>(given);
  return true;
}

void SpanStream::BackUp(int count) {
  // Only what the last Next gave is ever handed back, so the span is the same one.
  offset_ -= static_cast<std::size_t>(count);
  count_ -= count;
}

bool SpanStream::Skip(int count) {
  auto left = static_cast<std::size_t>(count);
  while (left > 0) {
    if (next_ == spans_.size()) return false;
    const std::size_t step = std::min(left, spans_[next_].size() - offset_);
    offset_ += step;
    count_ += static_cast<std::int64_t>(step);
    left -= step;
    if (offset_ == spans_[next_].size() && left > 0) {
      ++next_;
      offset_ = 0;
    }
  }
  return true;
}

RequestFields::RequestFields(ByteSpans spans) : RequestFields(spans, {0, total_size(spans)}) {}

RequestFields::RequestFields(ByteSpans spans, WireRange range) : stream_(spans), coded_(&stream_) {
  constexpr std::size_t kMost = std::numeric_limits<int>::max() - 1;
  if (range.size > kMost || range.offset > kMost - range.size) {
    broken_ = true;
    return;
  }
  coded_.SetTotalBytesLimit(static_cast<int>(range.offset + range.size));
  if (range.offset > 0 && !coded_.Skip(static_cast<int>(range.offset))) broken_ = true;
  coded_.PushLimit(static_cast<int>(range.size));
}

std::optional<WireField> RequestFields::next() {
  if (!more()) return std::nullopt;
  const std::uint32_t tag = coded_.ReadTag();
  const std::uint32_t number = tag >> 3;
  const std::uint32_t type = tag & 7;
  if (number == 0 || type > 5 || type == 4) {
    broken_ = true;
    return std::nullopt;
  }
  return WireField{number, static_cast<WireType>(type)};
}

void RequestFields::skip(const WireField& field) {
  if (broken_) return;
  if (field.type == WireType::kLength) {
    skip_length();
  } else if (!WireFormatLite::SkipField(&coded_, (field.number << 3) | static_cast<std::uint32_t>(field.type))) {
    broken_ = true;
  }
}

std::uint64_t RequestFields::varint() {
  std::uint64_t value = 0;
  if (broken_ || !coded_.ReadVarint64(&value)) {
    broken_ = true;
    return 0;
  }
  return value;
}

std::uint32_t RequestFields::fixed32() {
  std::uint32_t value = 0;
  if (broken_ || !coded_.ReadLittleEndian32(&value)) {
    broken_ = true;
    return 0;
  }
  return value;
}

std::uint64_t RequestFields::fixed64() {
  std::uint64_t value = 0;
  if (broken_ || !coded_.ReadLittleEndian64(&value)) {
    broken_ = true;
    return 0;
  }
  return value;
}

std::size_t RequestFields::length() {
  const std::uint64_t size = varint();
  if (broken_ || size > static_cast<std::uint64_t>(std::max(coded_.BytesUntilLimit(), 0))) {
    broken_ = true;
    return 0;
  }
  return static_cast<std::size_t>(size);
}

std::string RequestFields::string(std::size_t limit) {
  const std::size_t size = length();
  std::string value;
  if (broken_ || size > limit || !coded_.ReadString(&value, static_cast<int>(size))) {
    broken_ = true;
    return {};
  }
  return value;
}

WireRange RequestFields::skip_length() {
  const std::size_t size = length();
  if (broken_) return {};
  const WireRange range{static_cast<std::size_t>(coded_.CurrentPosition()), size};
  if (!coded_.Skip(static_cast<int>(size))) broken_ = true;
  return range;
}

void RequestFields::bytes(std::span<std::byte> out) {
  if (broken_ || !coded_.ReadRaw(out.data(), static_cast<int>(out.size()))) broken_ = true;
}

void copy_range(ByteSpans spans, WireRange range, std::span<std::byte> out) {
  TESSERA_CHECK(out.size() == range.size);
  std::size_t skip = range.offset;
  std::size_t done = 0;
  for (const auto& span : spans) {
    if (done == out.size()) return;
    if (skip >= span.size()) {
      skip -= span.size();
      continue;
    }
    const std::size_t step = std::min(span.size() - skip, out.size() - done);
    std::memcpy(out.data() + done, span.data() + skip, step);
    done += step;
    skip = 0;
  }
  TESSERA_CHECK(done == out.size());
}

std::size_t total_size(ByteSpans spans) {
  std::size_t total = 0;
  for (const auto& span : spans) total += span.size();
  return total;
}

}  // namespace tessera::server
