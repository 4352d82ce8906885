#include "client/http/response_reader.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdint>

namespace tessera::client {

namespace beast_http = boost::beast::http;
using BeastError = boost::beast::error_code;
using BeastText = boost::beast::string_view;

namespace {
constexpr std::uint32_t kMaxHeadBytes = 64 << 10;
// What is left of a chunked body that has not ended is at least "0\r\n\r\n". Beast's parser counts on that much when it
// is asked again about a last chunk that was not whole.
constexpr std::size_t kLeastOfChunks = 5;
}  // namespace

class ResponseReader::Parser final : public beast_http::basic_parser<false> {
 public:
  explicit Parser(std::size_t keep) : keep_(keep) {
    eager(true);
    header_limit(kMaxHeadBytes);
    body_limit(boost::none);  // nothing but its beginning is kept
  }

  int status = 0;
  std::string body;

 private:
  void on_request_impl(beast_http::verb, BeastText, BeastText, int, BeastError&) override {}
  void on_response_impl(int code, BeastText, int, BeastError&) override { status = code; }
  void on_field_impl(beast_http::field, BeastText, BeastText, BeastError&) override {}
  void on_header_impl(BeastError&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, BeastError&) override {}
  std::size_t on_body_impl(BeastText text, BeastError&) override { return take(text); }
  void on_chunk_header_impl(std::uint64_t, BeastText, BeastError&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, BeastText text, BeastError&) override { return take(text); }
  void on_finish_impl(BeastError&) override {}

  std::size_t take(BeastText text) {
    body.append(text.data(), std::min(text.size(), keep_ - std::min(keep_, body.size())));
    return text.size();
  }

  std::size_t keep_;
};

ResponseReader::ResponseReader(std::size_t keep) : parser_(std::make_unique<Parser>(keep)) {}
ResponseReader::~ResponseReader() = default;

Result<bool> ResponseReader::feed(std::string_view bytes) {
  if (!pending_.empty()) {
    pending_.append(bytes);
    bytes = pending_;
  }
  while (!bytes.empty() && !parser_->is_done()) {
    if (parser_->is_header_done() && parser_->chunked() && bytes.size() < kLeastOfChunks) {
      break;
    }
    BeastError error;
    const std::size_t used = parser_->put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
    bytes.remove_prefix(used);
    if (error == beast_http::error::need_more) {
      break;
    }
    if (error) {
      return unavailable("the answer is no HTTP that is understood: " + error.message());
    }
  }
  if (parser_->is_done() && !bytes.empty()) {
    return unavailable("more follows the answer than it announced");
  }
  pending_ = std::string(bytes);
  return parser_->is_done();
}

Status ResponseReader::end() {
  BeastError error;
  if (parser_->got_some()) {
    parser_->put_eof(error);
  }
  if (error || !parser_->is_done()) {
    return unavailable(std::string("the server closed the connection ") +
                       (parser_->got_some() ? "within an answer" : "instead of answering"));
  }
  return ok_status();
}

int ResponseReader::status() const { return parser_->status; }
const std::string& ResponseReader::body() const { return parser_->body; }
bool ResponseReader::stays() const { return parser_->keep_alive(); }

}  // namespace tessera::client
