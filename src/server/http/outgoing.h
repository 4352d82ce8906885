// Bytes on their way to a socket: a head, JSON, and tensors where they lie.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::server::http {

// Owned by one connection. Texts and memory stay until clear().
class Outgoing {
 public:
  std::string head;
  std::string body;                                 // JSON, or the packed body
  std::vector<std::span<const std::byte>> tensors;  // behind the body
  std::shared_ptr<const void> memory;               // keeps the tensors' bytes alive

  std::size_t body_bytes() const;

  // head, body and tensors are complete (`with_body` false: the head alone is sent).
  void seal(bool with_body);

  enum class Progress { kSent, kBlocked, kBroken };
  // Sends what the socket takes without waiting, in gathered writes.
  Progress flush(int socket);

  void clear();

 private:
  void add(std::span<const std::byte> bytes);

  std::vector<iovec> pieces_;
  std::size_t next_ = 0;  // the first piece that is not sent in full
};

}  // namespace tessera::server::http
