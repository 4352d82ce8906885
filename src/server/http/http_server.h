// The HTTP front end: KServe v2 with Triton's extensions over HTTP/1.1.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/affinity.h"
#include "base/ids.h"
#include "base/result.h"
#include "runtime/service.h"
#include "server/asks.h"
#include "server/shared_memory.h"

namespace tessera::server {

namespace http {
class Backend;
}

struct HttpOptions {
  std::string address = "127.0.0.1";  // IPv4 or IPv6
  std::uint16_t port = 8000;          // 0: any free one
  std::size_t threads = 1;
  std::vector<CpuSet> places;                    // thread i runs on places[i % size]; empty: anywhere
  std::size_t max_connections = 16384;           // further ones are answered 503 and closed
  Bytes max_body{std::uint64_t{64} << 20};       // also of an unpacked body
  std::chrono::milliseconds head_time{30'000};   // from the first byte of a head to its last
  std::chrono::milliseconds body_time{300'000};  // likewise of a body
  std::chrono::milliseconds write_time{60'000};  // without the peer taking a byte of its answer
  std::chrono::milliseconds idle_time{900'000};  // between requests
};

struct HttpStatistics {
  std::size_t connections = 0;  // open now
};

// Thread-safe. A connection stays on the thread it was given to.
class HttpServer {
 public:
  // Listens and serves when it returns. `service` and `shared_memory` outlive the server. Error: kInvalidArgument for
  // an address that is none, kUnavailable for one that cannot be had.
  static Result<std::unique_ptr<HttpServer>> start(HttpOptions options, runtime::Service& service,
                                                   SharedMemory& shared_memory, Asks asks = {});
  // The same over any backend.
  static Result<std::unique_ptr<HttpServer>> start(HttpOptions options, std::shared_ptr<http::Backend> backend);

  ~HttpServer();  // closes all connections; requests in flight are cancelled
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;
  HttpStatistics statistics() const;

  // No new connections; idle ones are closed, the others after the answer they wait for. Returns when all are closed,
  // or false when `limit` has passed before.
  bool drain(std::chrono::milliseconds limit);

 private:
  class State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tessera::server
