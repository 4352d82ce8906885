#include "server/http/body/infer_json.h"

#include <boost/json/basic_parser_impl.hpp>
#include <new>
#include <utility>

#include "server/http/body/infer_reader.h"

namespace tessera::server::http {
namespace {

namespace json = boost::json;
using JsonError = boost::json::error_code;

std::string_view view_of(json::string_view text) { return {text.data(), text.size()}; }

// What Boost.JSON's parser calls; passes its events on.
class Handler {
 public:
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = kMaxNameBytes;
  static constexpr std::size_t max_string_size = std::size_t(-1);

  Handler(InferRequest& request, const Lease& lease, std::size_t max_tensor_bytes)
      : reader(request, lease, max_tensor_bytes) {}

  InferReader reader;
  Status failure;

  bool on_document_begin(JsonError&) { return true; }
  bool on_document_end(JsonError&) { return true; }
  bool on_object_begin(JsonError& ec) { return check(reader.begin_object(), ec); }
  bool on_object_end(std::size_t, JsonError& ec) { return check(reader.end_object(), ec); }
  bool on_array_begin(JsonError& ec) { return check(reader.begin_array(), ec); }
  bool on_array_end(std::size_t, JsonError& ec) { return check(reader.end_array(), ec); }
  bool on_key_part(json::string_view part, std::size_t, JsonError&) {
    reader.key(view_of(part), false);
    return true;
  }
  bool on_key(json::string_view last, std::size_t, JsonError&) {
    reader.key(view_of(last), true);
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t size, JsonError& ec) {
    return check(reader.string(view_of(part), size, false), ec);
  }
  bool on_string(json::string_view last, std::size_t size, JsonError& ec) {
    return check(reader.string(view_of(last), size, true), ec);
  }
  bool on_number_part(json::string_view part, JsonError& ec) {
    number_.append(part.data(), part.size());
    return number_.size() <= kMaxNumberBytes || check(too_long(), ec);
  }
  bool on_int64(std::int64_t value, json::string_view, JsonError& ec) {
    number_.clear();
    return check(reader.integer(value), ec);
  }
  bool on_uint64(std::uint64_t value, json::string_view, JsonError& ec) {
    number_.clear();
    return check(reader.integer(value), ec);
  }
  bool on_double(double value, json::string_view last, JsonError& ec) {
    if (last.size() > kMaxNumberBytes) {
      return check(too_long(), ec);
    }
    // The parser's own conversion may be off by a unit in the last place, so tensors get the text.
    if (number_.empty()) {
      return check(reader.number(value, view_of(last)), ec);
    }
    number_.append(last.data(), last.size());
    const Status status = reader.number(value, number_);
    number_.clear();
    return check(status, ec);
  }
  bool on_bool(bool value, JsonError& ec) { return check(reader.boolean(value), ec); }
  bool on_null(JsonError& ec) { return check(reader.null(), ec); }
  bool on_comment_part(json::string_view, JsonError&) { return true; }
  bool on_comment(json::string_view, JsonError&) { return true; }

 private:
  static Status too_long() { return invalid_argument("a number is too long"); }

  bool check(const Status& status, JsonError& ec) {
    if (status.ok()) {
      return true;
    }
    failure = status;
    ec = json::make_error_code(json::error::exception);
    return false;
  }

  std::string number_;  // parts of a number
};

}  // namespace

// Boost.JSON's parser over the handler above, its errors in our words. Owned by one thread.
class InferJson::Parser {
 public:
  Parser(InferRequest& request, const Lease& lease, std::size_t max_tensor_bytes)
      : parser_(options(), request, lease, max_tensor_bytes) {}

  JsonRequest& result() { return parser_.handler().reader.result; }

  Status write(std::string_view text, bool more) {
    JsonError error;
    std::size_t used = 0;
    try {
      used = parser_.write_some(more, text.data(), text.size(), error);
    } catch (const std::bad_alloc&) {
      return Error(ErrorCode::kResourceExhausted, "no memory left for the request");
    }
    if (error) {
      Handler& handler = parser_.handler();
      return handler.failure.ok() ? malformed(error, text, used) : handler.failure;
    }
    if (used < text.size()) {
      return invalid_argument("malformed JSON: text behind the end of the object, at byte " +
                              std::to_string(read_ + used));
    }
    read_ += used;
    return ok_status();
  }

  bool done() const { return parser_.done(); }

 private:
  static json::parse_options options() {
    json::parse_options options;
    options.max_depth = kMaxJsonDepth;
    return options;
  }

  Error malformed(const JsonError& error, std::string_view text, std::size_t used) const {
    std::string message = "malformed JSON: " + error.message() + ", at byte " + std::to_string(read_ + used);
    if (error == json::error::too_deep) {
      message += "; at most " + std::to_string(kMaxJsonDepth) + " levels are read";
    } else if (used < text.size() && (text[used] == 'N' || text[used] == 'I')) {
      message += "; send NaN and Infinity as binary data";
    }
    return invalid_argument(std::move(message));
  }

  json::basic_parser<Handler> parser_;
  std::size_t read_ = 0;
};

InferJson::InferJson(InferRequest& request, const Lease& lease, std::size_t max_tensor_bytes)
    : parser_(std::make_unique<Parser>(request, lease, max_tensor_bytes)) {}
InferJson::~InferJson() = default;

Status InferJson::feed(std::string_view text) { return text.empty() ? ok_status() : parser_->write(text, true); }
Status InferJson::finish() { return parser_->done() ? ok_status() : parser_->write({}, false); }
JsonRequest& InferJson::result() { return parser_->result(); }

}  // namespace tessera::server::http
