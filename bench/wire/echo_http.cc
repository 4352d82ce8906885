#include <cstdio>
#include <memory>

#include <boost/asio.hpp>
#include <boost/beast.hpp>

#include "echo.h"

namespace tessera::bench {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {
    socket_.set_option(asio::ip::tcp::no_delay(true));
  }

  void read() {
    request_ = {};
    http::async_read(socket_, buffer_, request_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error) {
        self->write();
      }
    });
  }

 private:
  void write() {
    response_ = http::response<http::string_body>(http::status::ok, 11);
    response_.set(http::field::content_type, "application/octet-stream");
    response_.body() = std::move(request_.body());
    response_.prepare_payload();
    http::async_write(socket_, response_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error) {
        self->read();
      }
    });
  }

  asio::ip::tcp::socket socket_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response<http::string_body> response_;
};

void accept_next(asio::ip::tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](beast::error_code error, asio::ip::tcp::socket socket) {
    if (!error) {
      std::make_shared<Session>(std::move(socket))->read();
    }
    accept_next(acceptor);
  });
}

}  // namespace

int run_http_echo() {
  asio::io_context context(1);
  asio::ip::tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
  std::printf("ready port=%d\n", acceptor.local_endpoint().port());
  std::fflush(stdout);
  accept_next(acceptor);
  context.run();
  return 0;
}

}  // namespace tessera::bench
