// One connection to a server, kept from request to request.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/descriptor.h"
#include "base/result.h"
#include "client/endpoint.h"
#include "client/http/response_reader.h"

namespace tessera::client {

struct SocketAddress {
  sockaddr_storage bytes{};
  socklen_t size = 0;
};

// Asks the system's resolver, which may take its time. Error: nobody knows the host.
Result<SocketAddress> resolve(const Endpoint& endpoint);

// A whole response. Value.
struct Response {
  int status = 0;
  std::string body;  // its beginning
};

// Registered with `poll`, an epoll descriptor, under its own address. Never waits. Owned by one thread.
class Connection {
 public:
  Connection(const SocketAddress& peer, int poll, std::size_t tenant = 0) : peer_(peer), poll_(poll), tenant_(tenant) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Sends `message`, an HTTP request that stays as it is; nothing may be on its way. Opens the connection where it is
  // not. Of the body of its answer `keep` bytes are kept.
  Status send(std::shared_ptr<const std::string> message, std::size_t keep);

  // After `events` of epoll. What the request on its way came to, if it has: a response, or why there is none.
  std::optional<Result<Response>> handle(std::uint32_t events, std::span<char> buffer);

  bool busy() const { return message_ != nullptr; }
  std::size_t tenant() const { return tenant_; }
  std::uint64_t number = 0;  // of the request on its way; the owner's

 private:
  Status open();
  void close() { socket_ = Descriptor(); }
  Status flush();
  std::optional<Result<Response>> receive(std::span<char> buffer);
  std::optional<Result<Response>> ended(const Status& status);
  void watch(bool writable);

  const SocketAddress& peer_;
  int poll_;
  std::size_t tenant_;
  Descriptor socket_;
  bool connecting_ = false;
  bool watched_writable_ = false;
  std::shared_ptr<const std::string> message_;  // on its way; nothing: idle
  std::size_t sent_ = 0;                        // bytes of it
  std::unique_ptr<ResponseReader> reader_;
};

}  // namespace tessera::client
