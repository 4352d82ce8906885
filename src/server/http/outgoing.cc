#include "server/http/outgoing.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace tessera::server::http {
namespace {

constexpr std::size_t kPiecesPerWrite = 64;

}  // namespace

std::size_t Outgoing::body_bytes() const {
  std::size_t sum = body.size();
  for (const auto tensor : tensors) {
    sum += tensor.size();
  }
  return sum;
}

void Outgoing::add(std::span<const std::byte> bytes) {
  if (!bytes.empty()) {
    // The socket only reads, though the type does not say so.
    pieces_.push_back(
        {const_cast<std::byte*>(bytes.data()), bytes.size()});  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  }
}

void Outgoing::seal(bool with_body) {
  add(std::as_bytes(std::span(head)));
  if (with_body) {
    add(std::as_bytes(std::span(body)));
    for (const auto tensor : tensors) {
      add(tensor);
    }
  }
}

Outgoing::Progress Outgoing::flush(int socket) {
  while (next_ < pieces_.size()) {
    msghdr message{};
    message.msg_iov = pieces_.data() + next_;
    message.msg_iovlen = std::min(pieces_.size() - next_, kPiecesPerWrite);
    const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) {
        continue;
      }
      return errno == EAGAIN || errno == EWOULDBLOCK ? Progress::kBlocked : Progress::kBroken;
    }
    auto left = static_cast<std::size_t>(sent);
    while (left > 0) {
      iovec& piece = pieces_[next_];
      const std::size_t part = std::min(left, piece.iov_len);
      piece.iov_base = static_cast<std::byte*>(piece.iov_base) + part;
      piece.iov_len -= part;
      left -= part;
      if (piece.iov_len == 0) {
        ++next_;
      }
    }
  }
  return Progress::kSent;
}

void Outgoing::clear() {
  head.clear();
  body.clear();
  tensors.clear();
  memory.reset();
  pieces_.clear();
  next_ = 0;
}

}  // namespace tessera::server::http
