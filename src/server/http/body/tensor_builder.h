// Turns the values of a JSON `data` array into tensor bytes, in leased memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "core/dtype.h"
#include "runtime/service.h"

namespace tessera::server::http {

using Lease = std::function<Result<std::shared_ptr<runtime::BodyMemory>>(Bytes)>;

// Bytes appended one piece after the other into one lease, which is replaced by one twice as large when it is full.
// Owned by one connection.
class GrowingLease {
 public:
  GrowingLease(const Lease& lease, std::size_t max_bytes) : lease_(&lease), max_bytes_(max_bytes) {}

  // Room for `bytes` in all, known in advance. Errors: kTooLarge; the lease's.
  Status reserve(std::size_t bytes);
  Status append(const void* data, std::size_t size) {
    if (size > capacity_ - size_) {
      TESSERA_RETURN_IF_ERROR(grow(size));
    }
    std::memcpy(bytes_ + size_, data, size);
    return filled(size);
  }
  // For bytes that are written by others: where the next ones belong, and that so many are there.
  std::span<std::byte> room() const { return {bytes_ + size_, capacity_ - size_}; }
  Status filled(std::size_t size) {
    size_ += size;
    return size_ >= charge_at_ ? charge() : ok_status();
  }
  void overwrite(std::size_t at, const void* data, std::size_t size) { std::memcpy(bytes_ + at, data, size); }
  // Charges what is there. Called once after the last byte.
  Status charge();

  std::size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {bytes_, size_}; }
  std::shared_ptr<const void> memory() const { return block_; }
  std::optional<std::uint16_t> device() const { return block_ ? block_->device : std::nullopt; }

 private:
  Status grow(std::size_t more);

  static constexpr std::size_t kChargeStep = 64 * 1024;

  const Lease* lease_;
  std::size_t max_bytes_;
  std::shared_ptr<runtime::BodyMemory> block_;
  std::byte* bytes_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
  std::size_t charge_at_ = kChargeStep;
};

// Values in the order of the text. While the datatype is not known yet, up to kMaxUntyped numbers are kept as they
// came. Owned by one connection.
class TensorBuilder {
 public:
  static constexpr std::size_t kMaxUntyped = 1 << 16;

  TensorBuilder(const Lease& lease, std::size_t max_bytes) : out_(lease, max_bytes) {}

  // Either may come before, between or after the values; `elements` makes the memory fit at once.
  Status set_dtype(DType dtype);
  Status expect_elements(std::int64_t elements);

  Status add_integer(std::int64_t value);
  Status add_integer(std::uint64_t value);
  Status add_number(std::string_view text);  // not an integer, or one beyond 64 bits
  Status add_bool(bool value);
  // A string comes in parts, the last one marked.
  Status add_string(std::string_view part, bool last);

  // No more values follow. Error: kInvalidArgument where values do not fit the datatype or their number is not
  // `elements`.
  Status finish(std::int64_t elements);

  std::int64_t count() const { return count_; }
  // More values than the shape asks for: no need to read on.
  bool overfull() const { return expected_ && count_ > *expected_; }
  std::span<const std::byte> bytes() const { return out_.bytes(); }
  std::shared_ptr<const void> memory() const { return out_.memory(); }

 private:
  struct Untyped {
    enum class Kind : std::uint8_t { kSigned, kUnsigned, kDouble, kBool } kind;
    std::uint64_t bits;
  };

  template <typename T>
  Status append(T value) {
    return out_.append(&value, sizeof value);
  }
  template <typename T, typename Value>
  Status append_checked(Value value);
  template <typename Value>
  Status append_integer(Value value);
  Status keep(Untyped value);
  Status replay(const Untyped& value);
  Status prepare();
  Error mismatch(std::string_view what) const;

  GrowingLease out_;
  std::optional<DType> dtype_;
  std::optional<std::int64_t> expected_;
  std::int64_t count_ = 0;
  bool prepared_ = false;
  std::vector<Untyped> untyped_;
  std::optional<std::size_t> open_string_;  // where the length of the string in progress lies
};

// Refuses what has no exact form in JSON. Error names the input.
Status check_json_dtype(DType dtype, std::string_view input);

}  // namespace tessera::server::http
