// Result<T>: a value or an Error, for everything that can go wrong outside this program. Bugs use TESSERA_CHECK.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace tessera {

// What kind of failure a caller sees. One list for the whole project; server/ maps it to HTTP and gRPC status codes.
enum class ErrorCode {
  kInvalidArgument,    // the caller's mistake
  kNotFound,           // no such model, version, region
  kAlreadyExists,      // a name is taken
  kTooLarge,           // over a stated size limit
  kTimeout,            // the peer was too slow (request head or body)
  kDeadlineExceeded,   // the request's own time ran out while it waited
  kResourceExhausted,  // a bounded queue or byte quota is full
  kOutOfMemory,        // a device has no memory left; others may give theirs back
  kUnavailable,        // not ready, draining, or certain to miss its objective
  kUnsupported,        // understood, but not something this build does
  kCancelled,          // the caller went away
  kDeviceLost,         // the processor behind a device failed
  kInternal,           // a bug of ours, or a library failing without the caller's fault
};

std::string_view to_string(ErrorCode code);

// Immutable value.
class Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // When a retry may succeed, where that is known.
  const std::optional<std::chrono::milliseconds>& retry_after() const { return retry_after_; }
  Error with_retry_after(std::chrono::milliseconds delay) && {
    retry_after_ = delay;
    return std::move(*this);
  }

  // The same error with "context: " in front of its message.
  Error in(std::string_view context) const;

 private:
  ErrorCode code_;
  std::string message_;
  std::optional<std::chrono::milliseconds> retry_after_;
};

Error invalid_argument(std::string message);
Error not_found(std::string message);
Error unavailable(std::string message);
Error unsupported(std::string message);
Error internal_error(std::string message);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    TESSERA_CHECK(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    TESSERA_CHECK(ok());
    return std::get<0>(state_);
  }
  T&& value() && {
    TESSERA_CHECK(ok());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    TESSERA_CHECK(!ok());
    return std::get<1>(state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    TESSERA_CHECK(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;
inline Status ok_status() { return {}; }

}  // namespace tessera

#define TESSERA_CONCAT_INNER(a, b) a##b
#define TESSERA_CONCAT(a, b) TESSERA_CONCAT_INNER(a, b)

// Leaves the enclosing function with the error of `expr` (a Result or Status), if it has one.
#define TESSERA_RETURN_IF_ERROR(expr)                         \
  do {                                                        \
    if (auto tessera_status = (expr); !tessera_status.ok()) { \
      return tessera_status.error();                          \
    }                                                         \
  } while (false)

// `declaration` = the value of `expr`, or leaves the enclosing function with its error.
#define TESSERA_ASSIGN_OR_RETURN(declaration, expr) \
  TESSERA_ASSIGN_OR_RETURN_IMPL(TESSERA_CONCAT(tessera_result_, __LINE__), declaration, expr)
#define TESSERA_ASSIGN_OR_RETURN_IMPL(tmp, declaration, expr) \
  auto tmp = (expr);                                          \
  if (!tmp.ok()) {                                            \
    return tmp.error();                                       \
  }                                                           \
  declaration = std::move(tmp).value()
