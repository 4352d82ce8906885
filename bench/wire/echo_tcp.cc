#include <cstdio>
#include <vector>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo.h"

namespace tessera::bench {

int run_tcp_echo() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener, 4) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return 1;
  }
  std::printf("ready port=%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  std::vector<char> buffer(1 << 20);
  for (;;) {
    const int peer = accept(listener, nullptr, nullptr);
    const int yes = 1;
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    for (;;) {
      const ssize_t got = recv(peer, buffer.data(), buffer.size(), 0);
      if (got <= 0 || send(peer, buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) != got) {
        break;
      }
    }
    close(peer);
  }
}

}  // namespace tessera::bench
