#include "client/http/connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace tessera::client {
namespace {

Status system_error(const char* what) { return unavailable(std::string(what) + ": " + std::strerror(errno)); }

}  // namespace

Result<SocketAddress> resolve(const Endpoint& endpoint) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found);
  if (failure != 0) {
    return unavailable("no address of '" + endpoint.host + "': " + gai_strerror(failure));
  }
  SocketAddress out;
  std::memcpy(&out.bytes, found->ai_addr, found->ai_addrlen);
  out.size = found->ai_addrlen;
  freeaddrinfo(found);
  return out;
}

Status Connection::open() {
  socket_ = Descriptor(socket(peer_.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket_.get() < 0) {
    return system_error("cannot open a connection");
  }
  const int yes = 1;
  setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  connecting_ = connect(socket_.get(), reinterpret_cast<const sockaddr*>(&peer_.bytes), peer_.size) != 0;
  if (connecting_ && errno != EINPROGRESS) {
    return system_error("cannot connect");
  }
  epoll_event event{};
  watched_writable_ = connecting_;
  event.events = EPOLLIN | (connecting_ ? EPOLLOUT : 0U);
  event.data.ptr = this;
  return epoll_ctl(poll_, EPOLL_CTL_ADD, socket_.get(), &event) == 0 ? ok_status() : system_error("cannot watch");
}

Status Connection::send(std::shared_ptr<const std::string> message, std::size_t keep) {
  message_ = std::move(message);
  sent_ = 0;
  reader_ = std::make_unique<ResponseReader>(keep);
  Status status = socket_.get() < 0 ? open() : ok_status();
  if (status.ok() && !connecting_) {
    status = flush();
  }
  if (!status.ok()) {
    ended(status);
  }
  return status;
}

Status Connection::flush() {
  while (sent_ < message_->size()) {
    const ssize_t sent = ::send(socket_.get(), message_->data() + sent_, message_->size() - sent_, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) {
      break;
    }
    if (sent < 0 && errno != EINTR) {
      return system_error("the connection broke while sending");
    }
    sent_ += sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }
  watch(sent_ < message_->size());
  return ok_status();
}

void Connection::watch(bool writable) {
  if (writable == watched_writable_) {
    return;
  }
  epoll_event event{};
  event.events = EPOLLIN | (writable ? EPOLLOUT : 0U);
  event.data.ptr = this;
  epoll_ctl(poll_, EPOLL_CTL_MOD, socket_.get(), &event);
  watched_writable_ = writable;
}

// Frees the connection for the next request, or closes it where there is none to be sent on it.
std::optional<Result<Response>> Connection::ended(const Status& status) {
  const std::unique_ptr<ResponseReader> reader = std::move(reader_);
  const bool whole = sent_ == message_->size();
  message_.reset();
  if (!status.ok() || !reader->stays() || !whole) {
    close();
  }
  if (!status.ok()) {
    return Result<Response>(status.error());
  }
  return Result<Response>(Response{reader->status(), reader->body()});
}

std::optional<Result<Response>> Connection::handle(std::uint32_t events, std::span<char> buffer) {
  if (connecting_ && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
    int failure = 0;
    socklen_t size = sizeof failure;
    getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
    connecting_ = false;
    if (failure != 0) {
      errno = failure;
      return ended(system_error("cannot connect"));
    }
  }
  if ((events & EPOLLOUT) != 0 && busy()) {
    // A peer that does not want the rest may have answered already: that is read before the connection is given up.
    const Status status = flush();
    if (!status.ok() && (events & EPOLLIN) == 0) {
      return ended(status);
    }
  }
  return (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 ? receive(buffer) : std::nullopt;
}

std::optional<Result<Response>> Connection::receive(std::span<char> buffer) {
  const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
    return std::nullopt;
  }
  if (!busy()) {  // nobody asked: the server ends an idle connection
    close();
    return std::nullopt;
  }
  if (got < 0) {
    return ended(system_error("the connection broke"));
  }
  if (got == 0) {
    return ended(reader_->end());
  }
  const auto complete = reader_->feed({buffer.data(), static_cast<std::size_t>(got)});
  if (!complete.ok()) {
    return ended(complete.error());
  }
  return *complete ? ended(ok_status()) : std::nullopt;
}

}  // namespace tessera::client
