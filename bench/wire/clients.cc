#include "clients.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tessera::bench {
void give_up(std::string_view what) {
  std::fprintf(stderr, "benchmark client: %.*s\n", static_cast<int>(what.size()), what.data());
  std::exit(1);
}

int connect_to(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  inet_pton(AF_INET, colon == std::string::npos ? "127.0.0.1" : address.substr(0, colon).c_str(), &peer.sin_addr);
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  const int yes = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (connect(connection, reinterpret_cast<sockaddr*>(&peer), sizeof peer) != 0) {
    give_up("cannot connect to " + address);
  }
  return connection;
}

namespace {

class TcpClient : public WireClient {
 public:
  TcpClient(const std::string& address, std::string request, std::size_t answer_size)
      : socket_(connect_to(address)), request_(std::move(request)), answer_size_(answer_size) {}
  ~TcpClient() override { close(socket_); }

  void call() override {
    send_request();
    std::size_t got = 0;
    while (got < answer_size_) {
      got += receive(0);
    }
  }

 protected:
  void send_request() {
    if (send(socket_, request_.data(), request_.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request_.size())) {
      give_up("the connection broke");
    }
  }
  std::size_t receive(std::size_t at) {
    const ssize_t got = recv(socket_, buffer_.data() + at, buffer_.size() - at, 0);
    if (got <= 0) {
      give_up("the connection was closed");
    }
    return static_cast<std::size_t>(got);
  }

  std::array<char, 1 << 16> buffer_{};

 private:
  int socket_;
  std::string request_;
  std::size_t answer_size_;
};

class HttpClient : public TcpClient {
 public:
  HttpClient(const std::string& address, std::string request) : TcpClient(address, std::move(request), 0) {}

  void call() override {
    send_request();
    std::size_t have = receive(0);
    std::size_t head = 0;
    while ((head = std::string_view(buffer_.data(), have).find("\r\n\r\n")) == std::string_view::npos) {
      have += receive(have);
    }
    const std::string_view text(buffer_.data(), head);
    if (text.substr(0, 12) != "HTTP/1.1 200") {
      give_up(std::string_view(buffer_.data(), have));
    }
    static constexpr std::string_view kLength = "Content-Length: ";
    const std::size_t at = text.find(kLength);
    if (at == std::string_view::npos) {
      give_up("an answer without Content-Length");
    }
    std::size_t length = 0;
    std::from_chars(text.data() + at + kLength.size(), text.data() + text.size(), length);
    while (have < head + 4 + length) {
      have += receive(have);
    }
  }
};

}  // namespace

std::unique_ptr<WireClient> tcp_client(const std::string& address, std::string request, std::size_t answer_size) {
  return std::make_unique<TcpClient>(address, std::move(request), answer_size);
}

std::unique_ptr<WireClient> http_client(const std::string& address, std::string request) {
  return std::make_unique<HttpClient>(address, std::move(request));
}

std::string simple_http_request(std::string_view path) {
  const std::string json =
      R"({"inputs":[{"name":"INPUT0","shape":[1,16],"datatype":"INT32","parameters":{"binary_data_size":64}},)"
      R"({"name":"INPUT1","shape":[1,16],"datatype":"INT32","parameters":{"binary_data_size":64}}],)"
      R"("parameters":{"binary_data_output":true}})";
  std::string body = json;
  for (std::int32_t i = 0; i < 32; ++i) {
    body.append(reinterpret_cast<const char*>(&i), sizeof i);
  }
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n" +
         "Inference-Header-Content-Length: " + std::to_string(json.size()) +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace tessera::bench
