// The head of an HTTP/1.x request: what of its first line and fields matters here. Parsing is Beast's, kept behind this
// header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace tessera::server::http {

enum class Method { kGet, kHead, kPost, kOther };
enum class Coding { kIdentity, kGzip, kDeflate };

inline constexpr std::size_t kMaxHeadBytes = 16384;

// A request that is answered without looking at it further.
struct Refusal {
  int status = 400;
  std::string message;
  std::string_view allow = {};  // the Allow field of a 405
};

struct RequestHead {
  Method method = Method::kOther;
  std::string_view target;  // into the parsed text
  bool http11 = true;
  bool keep_alive = true;
  bool chunked = false;
  bool expects_continue = false;
  std::optional<std::uint64_t> content_length;
  std::optional<std::uint64_t> json_length;  // Inference-Header-Content-Length
  Coding content_coding = Coding::kIdentity;
  Coding accepts = Coding::kIdentity;  // what the answer may be compressed with
};

// Where the head at the start of `text` ends (one past its empty line); nothing while it is incomplete.
std::optional<std::size_t> head_end(std::string_view text);

// `text` is a complete head.
std::variant<RequestHead, Refusal> parse_head(std::string_view text);

// The best coding of ours that an Accept-Encoding value allows.
Coding accepted_coding(std::string_view accept_encoding);

// Takes a chunked body apart. Owned by one connection.
class ChunkedBody {
 public:
  explicit ChunkedBody(std::string_view head);  // the head parsed before, which announced it
  ~ChunkedBody();
  ChunkedBody(const ChunkedBody&) = delete;
  ChunkedBody& operator=(const ChunkedBody&) = delete;

  using Sink = std::function<Status(std::span<const std::byte>)>;
  // Gives payload to `sink`; returns how many bytes of `text` were used. What is left must come again, with more behind
  // it. Errors: kInvalidArgument for malformed framing; the sink's.
  Result<std::size_t> feed(std::string_view text, const Sink& sink);
  bool done() const;

 private:
  class Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace tessera::server::http
