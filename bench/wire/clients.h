// Clients with one connection that send the same bytes again and again and time each answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tessera::bench {

// Owned by one thread.
class WireClient {
 public:
  virtual ~WireClient() = default;
  // One request and its answer. Exits the benchmark with a sentence where the answer is an error.
  virtual void call() = 0;
};

// Sends `request`, expects `answer_size` bytes.
std::unique_ptr<WireClient> tcp_client(const std::string& address, std::string request, std::size_t answer_size);
// Sends `request` (head and body); the answer must be 200 and have a length.
std::unique_ptr<WireClient> http_client(const std::string& address, std::string request);
// Calls `method` with `message`, both as they stand on the wire.
std::unique_ptr<WireClient> grpc_client(const std::string& address, std::string method, const std::string& message);

// Both exit the benchmark with a sentence.
[[noreturn]] void give_up(std::string_view what);
int connect_to(const std::string& address);

// The add/sub model's request, 16 integers each: HTTP with binary tensors, and the gRPC message.
std::string simple_http_request(std::string_view path);
std::string simple_grpc_message();

}  // namespace tessera::bench
