#include "server/grpc/to_grpc.h"

#include <grpcpp/server_context.h>

#include <string>

#include "server/status.h"

namespace tessera::server {
namespace {

// Clients accept 8 KB of trailers, in which a byte may take three.
constexpr std::size_t kLongestMessage = 2000;

std::string shortened(const std::string& message) {
  if (message.size() <= kLongestMessage) return message;
  std::size_t end = kLongestMessage;
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;  // not inside a character
  return message.substr(0, end) + "...";
}

}  // namespace

::grpc::Status to_grpc(const Error& error, ::grpc::ServerContextBase* context) {
  if (context != nullptr && error.retry_after()) {
    context->AddTrailingMetadata("grpc-retry-pushback-ms", std::to_string(error.retry_after()->count()));
  }
  return {static_cast<::grpc::StatusCode>(grpc_status(error.code())), shortened(error.message())};
}

}  // namespace tessera::server
