#include "server/http/answer_text.h"

#include <algorithm>

#include "server/http/body/json_text.h"

namespace tessera::server::http {
namespace {

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "200 OK";
    case 400:
      return "400 Bad Request";
    case 404:
      return "404 Not Found";
    case 405:
      return "405 Method Not Allowed";
    case 408:
      return "408 Request Timeout";
    case 413:
      return "413 Payload Too Large";
    case 415:
      return "415 Unsupported Media Type";
    case 417:
      return "417 Expectation Failed";
    case 431:
      return "431 Request Header Fields Too Large";
    case 501:
      return "501 Not Implemented";
    case 503:
      return "503 Service Unavailable";
    default:
      return "500 Internal Server Error";
  }
}

}  // namespace

void append_answer_head(std::string& out, const AnswerHead& head) {
  out += "HTTP/1.1 ";
  out += reason_of(head.status);
  out += "\r\nContent-Type: ";
  out += head.content_type;
  if (head.json_length) {
    out += "\r\nInference-Header-Content-Length: ";
    append_integer(out, *head.json_length);
  }
  if (head.coding != Coding::kIdentity) {
    out += head.coding == Coding::kGzip ? "\r\nContent-Encoding: gzip" : "\r\nContent-Encoding: deflate";
  }
  if (head.retry_after) {
    // The field counts in whole seconds.
    out += "\r\nRetry-After: ";
    append_integer(out, std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(*head.retry_after).count()));
  }
  if (!head.allow.empty()) {
    out += "\r\nAllow: ";
    out += head.allow;
  }
  if (!head.keep_alive) {
    out += "\r\nConnection: close";
  } else if (!head.http11) {
    out += "\r\nConnection: keep-alive";
  }
  out += "\r\nContent-Length: ";
  append_integer(out, head.content_length);
  out += "\r\n\r\n";
}

}  // namespace tessera::server::http
