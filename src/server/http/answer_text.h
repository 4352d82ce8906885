// The head of an HTTP answer.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "server/http/request_head.h"

namespace tessera::server::http {

struct AnswerHead {
  int status = 200;
  std::string_view content_type = "application/json";
  std::size_t content_length = 0;
  std::optional<std::size_t> json_length;  // Inference-Header-Content-Length
  Coding coding = Coding::kIdentity;
  bool keep_alive = true;
  bool http11 = true;  // the request's version
  std::optional<std::chrono::milliseconds> retry_after;
  std::string_view allow = {};
};

void append_answer_head(std::string& out, const AnswerHead& head);

}  // namespace tessera::server::http
