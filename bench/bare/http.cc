#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio.hpp>
#include <boost/beast.hpp>

#include "bare.h"

namespace tessera::bench {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::uint64_t kLargestBody = std::uint64_t{64} << 20;
constexpr std::size_t kBuffer = std::size_t{1} << 20;

std::string answer_to(const http::request<http::empty_body>& request) {
  if (request.method() == http::verb::post) return std::string(kAnswer, '\0');
  constexpr std::string_view kModels = "/v2/models/";
  const std::string_view target(request.target().data(), request.target().size());
  if (!target.starts_with(kModels)) return "{}";
  return R"({"name":")" + std::string(target.substr(kModels.size())) +
         R"(","versions":["1"],"platform":"bare","inputs":[{"name":"input","datatype":"FP32","shape":[-1,3,224,224]}],)"
         R"("outputs":[{"name":"output","datatype":"FP16","shape":[-1,1000]}]})";
}

// One connection; one thing is done for it at a time.
class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(asio::ip::tcp::socket socket) : socket_(std::move(socket)), body_(kBuffer) {
    socket_.set_option(asio::ip::tcp::no_delay(true));
  }

  void read_head() {
    parser_.emplace();
    parser_->body_limit(kLargestBody);
    http::async_read_header(socket_, buffer_, *parser_,
                            [self = shared_from_this()](beast::error_code error, std::size_t) {
                              if (!error) self->head_is_there();
                            });
  }

 private:
  void head_is_there() {
    left_ = parser_->content_length().value_or(0);
    const std::size_t there = std::min<std::uint64_t>(buffer_.size(), left_);
    buffer_.consume(there);
    left_ -= there;
    read_body();
  }

  // Past the library: it would read as little at a time as its buffer for heads holds.
  void read_body() {
    if (left_ == 0) {
      write();
      return;
    }
    socket_.async_read_some(asio::buffer(body_.data(), std::min<std::uint64_t>(body_.size(), left_)),
                            [self = shared_from_this()](beast::error_code error, std::size_t got) {
                              if (error) return;
                              self->left_ -= got;
                              self->read_body();
                            });
  }

  void write() {
    const bool stays = parser_->get().keep_alive();
    response_ = http::response<http::string_body>(http::status::ok, 11);
    response_.keep_alive(stays);
    response_.body() = answer_to(parser_->get());
    response_.prepare_payload();
    http::async_write(socket_, response_, [self = shared_from_this(), stays](beast::error_code error, std::size_t) {
      if (!error && stays) self->read_head();
    });
  }

  asio::ip::tcp::socket socket_;
  beast::flat_buffer buffer_;
  std::vector<char> body_;
  std::uint64_t left_ = 0;  // of a body
  std::optional<http::request_parser<http::empty_body>> parser_;
  http::response<http::string_body> response_;
};

class Http final : public Bare {
 public:
  explicit Http(std::size_t threads)
      : context_(static_cast<int>(threads)), acceptor_(context_, {asio::ip::address_v4::loopback(), 0}) {
    accept();
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { context_.run(); });
  }
  ~Http() override {
    context_.stop();
    for (std::thread& thread : threads_) thread.join();
  }

  std::uint16_t port() const override { return acceptor_.local_endpoint().port(); }

 private:
  void accept() {
    acceptor_.async_accept([this](beast::error_code error, asio::ip::tcp::socket socket) {
      if (!error) std::make_shared<Session>(std::move(socket))->read_head();
      accept();
    });
  }

  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<Bare> bare_http(std::size_t threads) { return std::make_unique<Http>(threads); }

}  // namespace tessera::bench
