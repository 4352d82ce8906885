// Closed loops: one thread that keeps several requests in flight and does as little else as it can, so that the server
// is what limits.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace tessera::bench {

// Owned by one thread.
class LoadClient {
 public:
  virtual ~LoadClient() = default;
  // Sends and has answered `calls` requests. Exits the benchmark with a sentence where an answer is an error.
  virtual void run(std::size_t calls) = 0;
};

// `at_once` connections with one request each in flight; answers must come in one piece and start as HTTP's 200 does.
std::unique_ptr<LoadClient> http_load(const std::string& address, std::string request, std::size_t at_once);
// One channel with `at_once` calls in flight.
std::unique_ptr<LoadClient> grpc_load(const std::string& address, std::string method, const std::string& message,
                                      std::size_t at_once);

}  // namespace tessera::bench
