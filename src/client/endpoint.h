// Where a server listens, as a user writes it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tessera::client {

struct Endpoint {
  enum class Protocol { kHttp, kGrpc };
  Protocol protocol = Protocol::kHttp;
  std::string host;  // an IPv6 address without its brackets
  std::uint16_t port = 0;
  std::string path;  // in front of "/v2"; empty, or with a slash at its beginning and none at its end

  std::string address() const;  // HOST:PORT
};

// "http://HOST[:PORT][/PATH]", "grpc://HOST[:PORT]" or "HOST[:PORT]", which is HTTP; ports 8000 and 8001 unless given.
// Error: anything else, https among it.
Result<Endpoint> parse_endpoint(std::string_view url);

}  // namespace tessera::client
