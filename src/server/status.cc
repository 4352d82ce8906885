#include "server/status.h"

#include <utility>

namespace tessera::server {

int http_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kCancelled:
      return 400;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kTimeout:
      return 408;
    case ErrorCode::kTooLarge:
      return 413;
    case ErrorCode::kUnsupported:
      return 501;
    case ErrorCode::kDeadlineExceeded:
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kOutOfMemory:
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeviceLost:
      return 503;
    case ErrorCode::kInternal:
      break;
  }
  return 500;
}

int grpc_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCancelled:
      return 1;  // CANCELLED
    case ErrorCode::kInvalidArgument:
      return 3;  // INVALID_ARGUMENT
    case ErrorCode::kTimeout:
      return 4;  // DEADLINE_EXCEEDED
    case ErrorCode::kNotFound:
      return 5;  // NOT_FOUND
    case ErrorCode::kAlreadyExists:
      return 6;  // ALREADY_EXISTS
    case ErrorCode::kTooLarge:
      return 8;  // RESOURCE_EXHAUSTED, as gRPC itself says of a message over its limit
    case ErrorCode::kUnsupported:
      return 12;  // UNIMPLEMENTED
    case ErrorCode::kInternal:
      return 13;  // INTERNAL
    case ErrorCode::kDeadlineExceeded:
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kOutOfMemory:
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeviceLost:
      return 14;  // UNAVAILABLE
  }
  return 13;
}

Error with_request_id(Error error, std::string_view id) {
  constexpr std::string_view kPrefix = "[request id: ";
  if (error.message().compare(0, kPrefix.size(), kPrefix) == 0) {
    return error;
  }
  std::string message(kPrefix);
  message.append(id.empty() ? std::string_view("<id_unknown>") : id).append("] ").append(error.message());
  Error prefixed(error.code(), std::move(message));
  return error.retry_after() ? std::move(prefixed).with_retry_after(*error.retry_after()) : prefixed;
}

Error inference_error(Error error, std::string_view id) {
  return error.code() == ErrorCode::kNotFound ? error : with_request_id(std::move(error), id);
}

}  // namespace tessera::server
