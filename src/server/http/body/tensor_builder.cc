#include "server/http/body/tensor_builder.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <utility>

namespace tessera::server::http {
namespace {

constexpr std::size_t kFirstLease = 64 * 1024;

std::string text_of(std::int64_t value) { return std::to_string(value); }
std::string text_of(std::uint64_t value) { return std::to_string(value); }

// The nearest T to a JSON number; nothing where it is beyond T's range. What is too small becomes zero or subnormal.
template <typename T>
std::optional<T> parse_floating(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc()) {
    return value;
  }
  const std::string terminated(text);
  if constexpr (std::is_same_v<T, float>) {
    value = std::strtof(terminated.c_str(), nullptr);
  } else {
    value = std::strtod(terminated.c_str(), nullptr);
  }
  return std::isinf(value) ? std::nullopt : std::optional<T>(value);
}

}  // namespace

Status GrowingLease::reserve(std::size_t bytes) {
  if (bytes > max_bytes_) {
    return Error(ErrorCode::kTooLarge, "the tensors of a request may have " + std::to_string(max_bytes_) + " bytes");
  }
  if (bytes <= capacity_) {
    return ok_status();
  }
  TESSERA_ASSIGN_OR_RETURN(auto block, (*lease_)(Bytes{bytes}));
  if (size_ > 0) {
    std::memcpy(block->bytes().data(), bytes_, size_);
  }
  block_ = std::move(block);
  bytes_ = block_->bytes().data();
  capacity_ = bytes;
  charge_at_ = std::min(charge_at_, size_ + kChargeStep);
  return ok_status();
}

Status GrowingLease::grow(std::size_t more) {
  const std::size_t needed = size_ + more;
  return reserve(std::max(needed, std::min(max_bytes_, std::max(kFirstLease, capacity_ * 2))));
}

Status GrowingLease::charge() {
  charge_at_ = size_ + kChargeStep;
  return block_ != nullptr ? block_->charge(Bytes{size_}) : ok_status();
}

Status TensorBuilder::set_dtype(DType dtype) {
  dtype_ = dtype;
  TESSERA_RETURN_IF_ERROR(prepare());
  if (count_ > 0 && untyped_.empty() && dtype != DType::kBytes) {
    return mismatch("a string");
  }
  count_ -= static_cast<std::int64_t>(untyped_.size());
  for (const Untyped& value : std::exchange(untyped_, {})) {
    TESSERA_RETURN_IF_ERROR(replay(value));
  }
  return ok_status();
}

Status TensorBuilder::expect_elements(std::int64_t elements) {
  expected_ = elements;
  return prepare();
}

Status TensorBuilder::prepare() {
  if (prepared_ || !dtype_ || !expected_ || *dtype_ == DType::kBytes) {
    return ok_status();
  }
  prepared_ = true;
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::size_t>(*expected_), size_of(*dtype_), &bytes)) {
    return Error(ErrorCode::kTooLarge, "the tensor is too large");
  }
  return out_.reserve(bytes);
}

Error TensorBuilder::mismatch(std::string_view what) const {
  return invalid_argument("'data' holds " + std::string(what) + " where datatype " +
                          std::string(protocol_name(dtype_.value_or(DType::kBytes))) + " is expected");
}

template <typename T, typename Value>
Status TensorBuilder::append_checked(Value value) {
  if (!std::in_range<T>(value)) {
    return mismatch(text_of(value));
  }
  return append(static_cast<T>(value));
}

template <typename Value>
Status TensorBuilder::append_integer(Value value) {
  ++count_;
  switch (*dtype_) {
    case DType::kBool:
      return value == 0 || value == 1 ? append(static_cast<std::uint8_t>(value)) : Status(mismatch(text_of(value)));
    case DType::kUint8:
      return append_checked<std::uint8_t>(value);
    case DType::kUint16:
      return append_checked<std::uint16_t>(value);
    case DType::kUint32:
      return append_checked<std::uint32_t>(value);
    case DType::kUint64:
      return append_checked<std::uint64_t>(value);
    case DType::kInt8:
      return append_checked<std::int8_t>(value);
    case DType::kInt16:
      return append_checked<std::int16_t>(value);
    case DType::kInt32:
      return append_checked<std::int32_t>(value);
    case DType::kInt64:
      return append_checked<std::int64_t>(value);
    case DType::kFp32:
      return append(static_cast<float>(value));
    case DType::kFp64:
      return append(static_cast<double>(value));
    case DType::kBytes:
      return mismatch("a number");
    case DType::kFp16:
    case DType::kBf16:
      break;
  }
  return mismatch("values of 16-bit floating point, which go as binary data only,");
}

Status TensorBuilder::keep(Untyped value) {
  if (count_ > static_cast<std::int64_t>(untyped_.size())) {
    return invalid_argument("'data' holds strings as well as numbers");
  }
  if (untyped_.size() == kMaxUntyped) {
    return invalid_argument("'datatype' must come before 'data' of more than " + std::to_string(kMaxUntyped) +
                            " values");
  }
  untyped_.push_back(value);
  ++count_;
  return ok_status();
}

Status TensorBuilder::replay(const Untyped& value) {
  switch (value.kind) {
    case Untyped::Kind::kSigned:
      return add_integer(static_cast<std::int64_t>(value.bits));
    case Untyped::Kind::kUnsigned:
      return add_integer(value.bits);
    case Untyped::Kind::kBool:
      return add_bool(value.bits != 0);
    case Untyped::Kind::kDouble:
      break;
  }
  const auto number = std::bit_cast<double>(value.bits);
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, number);
  return add_number({text, static_cast<std::size_t>(end.ptr - text)});
}

Status TensorBuilder::add_integer(std::int64_t value) {
  if (!dtype_) {
    return keep({Untyped::Kind::kSigned, static_cast<std::uint64_t>(value)});
  }
  return append_integer(value);
}

Status TensorBuilder::add_integer(std::uint64_t value) {
  if (!dtype_) {
    return keep({Untyped::Kind::kUnsigned, value});
  }
  return append_integer(value);
}

Status TensorBuilder::add_number(std::string_view text) {
  if (!dtype_) {
    const auto value = parse_floating<double>(text);
    return value ? keep({Untyped::Kind::kDouble, std::bit_cast<std::uint64_t>(*value)})
                 : Status(invalid_argument("'data' holds " + std::string(text) + ", which is too large"));
  }
  ++count_;
  if (*dtype_ == DType::kFp32) {
    const auto value = parse_floating<float>(text);
    return value ? append(*value) : Status(mismatch(text));
  }
  if (*dtype_ == DType::kFp64) {
    const auto value = parse_floating<double>(text);
    return value ? append(*value) : Status(mismatch(text));
  }
  return mismatch(text);
}

Status TensorBuilder::add_bool(bool value) {
  if (!dtype_) {
    return keep({Untyped::Kind::kBool, value ? std::uint64_t{1} : 0});
  }
  ++count_;
  if (*dtype_ != DType::kBool) {
    return mismatch(value ? "true" : "false");
  }
  return append(static_cast<std::uint8_t>(value));
}

Status TensorBuilder::add_string(std::string_view part, bool last) {
  if (dtype_ ? *dtype_ != DType::kBytes : !untyped_.empty()) {
    return dtype_ ? Status(mismatch("a string")) : Status(invalid_argument("'data' holds strings as well as numbers"));
  }
  if (!open_string_) {
    open_string_ = out_.size();
    TESSERA_RETURN_IF_ERROR(append(std::uint32_t{0}));
  }
  if (!part.empty()) {
    TESSERA_RETURN_IF_ERROR(out_.append(part.data(), part.size()));
  }
  if (last) {
    const std::size_t length = out_.size() - *open_string_ - sizeof(std::uint32_t);
    if (length > std::numeric_limits<std::uint32_t>::max()) {
      return Error(ErrorCode::kTooLarge, "a BYTES element may have 4 GiB");
    }
    const auto prefix = static_cast<std::uint32_t>(length);
    out_.overwrite(*open_string_, &prefix, sizeof prefix);
    open_string_.reset();
    ++count_;
  }
  return ok_status();
}

Status TensorBuilder::finish(std::int64_t elements) {
  TESSERA_CHECK(dtype_.has_value());
  if (count_ != elements) {
    return invalid_argument("'data' holds " + std::to_string(count_) + " values where the shape asks for " +
                            std::to_string(elements));
  }
  return out_.charge();
}

Status check_json_dtype(DType dtype, std::string_view input) {
  if (dtype == DType::kFp16 || dtype == DType::kBf16) {
    return invalid_argument("sending " + std::string(protocol_name(dtype)) +
                            " data via JSON is not supported. Please use the binary data format for input '" +
                            std::string(input) + "'");
  }
  return ok_status();
}

}  // namespace tessera::server::http
