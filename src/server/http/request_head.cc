#include "server/http/request_head.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <cctype>
#include <charconv>

namespace tessera::server::http {
namespace {

namespace beast_http = boost::beast::http;
using BeastError = boost::beast::error_code;

std::string_view view_of(boost::beast::string_view text) { return {text.data(), text.size()}; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

Method method_of(beast_http::verb verb) {
  switch (verb) {
    case beast_http::verb::get:
      return Method::kGet;
    case beast_http::verb::head:
      return Method::kHead;
    case beast_http::verb::post:
      return Method::kPost;
    default:
      return Method::kOther;
  }
}

// Collects what RequestHead holds. `refusal` is set by fields that are well formed but cannot be served.
class HeadParser : public beast_http::basic_parser<true> {
 public:
  HeadParser() {
    header_limit(kMaxHeadBytes);
    body_limit(boost::none);  // the connection's own limits apply
  }

  RequestHead head;
  std::optional<Refusal> refusal;

 protected:
  void on_request_impl(beast_http::verb verb, boost::beast::string_view, boost::beast::string_view target, int version,
                       BeastError&) override {
    head.method = method_of(verb);
    head.target = view_of(target);
    head.http11 = version >= 11;
  }

  void on_field_impl(beast_http::field field, boost::beast::string_view name, boost::beast::string_view value,
                     BeastError&) override {
    switch (field) {
      case beast_http::field::content_encoding:
        content_encoding(trimmed(view_of(value)));
        break;
      case beast_http::field::accept_encoding:
        head.accepts = accepted_coding(view_of(value));
        break;
      case beast_http::field::expect:
        expect(trimmed(view_of(value)));
        break;
      case beast_http::field::unknown:
        if (equal_ignoring_case(view_of(name), "Inference-Header-Content-Length")) {
          inference_header(trimmed(view_of(value)));
        }
        break;
      default:
        break;
    }
  }

  void on_header_impl(BeastError&) override {}
  void on_response_impl(int, boost::beast::string_view, int, BeastError&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, BeastError&) override {}
  std::size_t on_body_impl(boost::beast::string_view body, BeastError&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, boost::beast::string_view, BeastError&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, boost::beast::string_view body, BeastError&) override {
    return body.size();
  }
  void on_finish_impl(BeastError&) override {}

 private:
  void content_encoding(std::string_view value) {
    if (equal_ignoring_case(value, "gzip") || equal_ignoring_case(value, "x-gzip")) {
      head.content_coding = Coding::kGzip;
    } else if (equal_ignoring_case(value, "deflate")) {
      head.content_coding = Coding::kDeflate;
    } else if (!value.empty() && !equal_ignoring_case(value, "identity")) {
      refusal = Refusal{415, "Content-Encoding '" + std::string(value) + "' is not supported: use gzip or deflate"};
    }
  }

  void expect(std::string_view value) {
    // Triton's Python client sends the field empty.
    if (equal_ignoring_case(value, "100-continue")) {
      head.expects_continue = true;
    } else if (!value.empty()) {
      refusal = Refusal{417, "Expect: '" + std::string(value) + "' is not supported"};
    }
  }

  void inference_header(std::string_view value) {
    std::uint64_t length = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
    if (value.empty() || error != std::errc() || end != value.data() + value.size()) {
      refusal = Refusal{400, "Inference-Header-Content-Length must be a number of bytes"};
    } else if (head.json_length && *head.json_length != length) {
      refusal = Refusal{400, "Inference-Header-Content-Length is given twice"};
    }
    head.json_length = length;
  }
};

Refusal refusal_of(const BeastError& error) {
  if (error == beast_http::error::header_limit) {
    return {431, "the request's head is larger than " + std::to_string(kMaxHeadBytes) + " bytes"};
  }
  return {400, "malformed HTTP request: " + error.message()};
}

}  // namespace

std::optional<std::size_t> head_end(std::string_view text) {
  const auto at = text.find("\r\n\r\n");
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  return at + 4;
}

std::variant<RequestHead, Refusal> parse_head(std::string_view text) {
  HeadParser parser;
  BeastError error;
  parser.put({text.data(), text.size()}, error);
  if (error) {
    return refusal_of(error);
  }
  if (!parser.is_header_done()) {
    return Refusal{400, "malformed HTTP request"};
  }
  if (parser.refusal) {
    return *std::move(parser.refusal);
  }
  RequestHead& head = parser.head;
  head.keep_alive = parser.keep_alive();
  head.chunked = parser.chunked();
  if (const auto length = parser.content_length(); length && !head.chunked) {
    head.content_length = *length;
  }
  return head;
}

Coding accepted_coding(std::string_view accept_encoding) {
  Coding best = Coding::kIdentity;
  while (!accept_encoding.empty()) {
    const auto comma = accept_encoding.find(',');
    const std::string_view entry = accept_encoding.substr(0, comma);
    accept_encoding.remove_prefix(comma == std::string_view::npos ? accept_encoding.size() : comma + 1);
    const auto semicolon = entry.find(';');
    const std::string_view name = trimmed(entry.substr(0, semicolon));
    if (semicolon != std::string_view::npos) {
      const std::string_view weight = trimmed(entry.substr(semicolon + 1));
      if (weight.substr(0, 2) == "q=" && weight.find_first_not_of("0.", 2) == std::string_view::npos) {
        continue;  // q=0: refused by the client
      }
    }
    if (equal_ignoring_case(name, "gzip") || name == "*") {
      best = Coding::kGzip;
    } else if (equal_ignoring_case(name, "deflate") && best == Coding::kIdentity) {
      best = Coding::kDeflate;
    }
  }
  return best;
}

// A last chunk is at least "0\r\n\r\n". Beast's parser counts on that much when it is asked again about one that was
// not whole, and has it checked in builds with assertions.
constexpr std::size_t kLeastLastChunk = 5;

// Beast's parser, put behind a head it has been fed, with every piece of content handed on. Owned by one thread.
class ChunkedBody::Parser : public HeadParser {
 public:
  explicit Parser(std::string_view head_text) {
    BeastError error;
    put({head_text.data(), head_text.size()}, error);
    TESSERA_CHECK(!error && chunked());
  }

  Result<std::size_t> feed(std::string_view text, const Sink& sink) {
    sink_ = &sink;
    failure_ = ok_status();
    std::size_t used = 0;
    if (line_was_whole_ && text.size() < kLeastLastChunk) {
      return used;
    }
    while (used < text.size() && !is_done()) {
      BeastError error;
      used += put({text.data() + used, text.size() - used}, error);
      if (!failure_.ok()) {
        return failure_.error();
      }
      if (error == beast_http::error::need_more) {
        line_was_whole_ = text.find('\n', used) != std::string_view::npos;
        break;
      }
      if (error) {
        return invalid_argument("malformed chunked body: " + error.message());
      }
    }
    if (!is_done() && text.size() - used >= kMaxHeadBytes) {
      return invalid_argument("malformed chunked body: the head of a chunk is too large");
    }
    return used;
  }

 protected:
  std::size_t on_chunk_body_impl(std::uint64_t, boost::beast::string_view body, BeastError& error) override {
    failure_ = (*sink_)(std::as_bytes(std::span(body.data(), body.size())));
    if (!failure_.ok()) {
      error = boost::beast::errc::make_error_code(boost::beast::errc::operation_canceled);
    }
    return body.size();
  }

 private:
  const Sink* sink_ = nullptr;
  Status failure_;
  bool line_was_whole_ = false;  // and yet the parser wanted more
};

ChunkedBody::ChunkedBody(std::string_view head) : parser_(std::make_unique<Parser>(head)) {}
ChunkedBody::~ChunkedBody() = default;

Result<std::size_t> ChunkedBody::feed(std::string_view text, const Sink& sink) { return parser_->feed(text, sink); }
bool ChunkedBody::done() const { return parser_->is_done(); }

}  // namespace tessera::server::http
