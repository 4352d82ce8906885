#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients.h"
#include "load.h"

namespace tessera::bench {
namespace {

class HttpLoad : public LoadClient {
 public:
  HttpLoad(const std::string& address, std::string request, std::size_t at_once)
      : poll_(epoll_create1(EPOLL_CLOEXEC)), request_(std::move(request)) {
    for (std::size_t i = 0; i < at_once; ++i) {
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.fd = connect_to(address);
      epoll_ctl(poll_, EPOLL_CTL_ADD, event.data.fd, &event);
      sockets_.push_back(event.data.fd);
    }
  }
  ~HttpLoad() override {
    for (const int socket : sockets_) {
      close(socket);
    }
    close(poll_);
  }

  void run(std::size_t calls) override {
    std::size_t sent = 0;
    for (const int socket : sockets_) {
      send_to(socket);
      ++sent;
    }
    std::array<epoll_event, 64> events;
    for (std::size_t answered = 0; answered < calls;) {
      const int ready = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < ready; ++i) {
        const int socket = events[static_cast<std::size_t>(i)].data.fd;
        const ssize_t got = recv(socket, buffer_.data(), buffer_.size(), 0);
        if (got < 12 || std::string_view(buffer_.data(), 12) != "HTTP/1.1 200") {
          give_up(got <= 0 ? "the connection was closed"
                           : std::string_view(buffer_.data(), static_cast<std::size_t>(got)));
        }
        ++answered;
        if (sent < calls) {
          send_to(socket);
          ++sent;
        }
      }
    }
  }

 private:
  void send_to(int socket) const {
    if (send(socket, request_.data(), request_.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request_.size())) {
      give_up("the connection broke");
    }
  }

  int poll_;
  std::string request_;
  std::vector<int> sockets_;
  std::array<char, 1 << 14> buffer_{};
};

}  // namespace

std::unique_ptr<LoadClient> http_load(const std::string& address, std::string request, std::size_t at_once) {
  return std::make_unique<HttpLoad>(address, std::move(request), at_once);
}

}  // namespace tessera::bench
