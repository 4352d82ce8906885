// Servers that read bodies and compute nothing: what the network stack and the protocol's library carry at most.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace tessera::bench {

// What every answer to an inference carries, in bytes: a thousand values of two bytes.
inline constexpr std::size_t kAnswer = 2000;

// Serves from its construction on, on threads of its own. Thread-safe.
class Bare {
 public:
  virtual ~Bare() = default;
  virtual std::uint16_t port() const = 0;
};

// Bodies go to one buffer for each connection, of which nothing is looked at.
std::unique_ptr<Bare> bare_http(std::size_t threads);
// Messages stay as the library has them; its threads are its own.
std::unique_ptr<Bare> bare_grpc();

}  // namespace tessera::bench
