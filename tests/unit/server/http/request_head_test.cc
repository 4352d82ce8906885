#include "server/http/request_head.h"

#include <gtest/gtest.h>

namespace tessera::server::http {
namespace {

TEST(RequestHead, HoldsWhatMatters) {
  const std::string text =
      "POST /v2/x?y HTTP/1.1\r\nHost: h\r\ncontent-length: 12\r\nINFERENCE-HEADER-CONTENT-LENGTH: 7\r\n"
      "Content-Encoding: GZIP\r\nAccept-Encoding: br, deflate\r\nExpect: 100-Continue\r\n\r\n";
  EXPECT_EQ(head_end(text), text.size());
  const auto parsed = parse_head(text);
  ASSERT_TRUE(std::holds_alternative<RequestHead>(parsed));
  const auto& head = std::get<RequestHead>(parsed);
  EXPECT_EQ(head.method, Method::kPost);
  EXPECT_EQ(head.target, "/v2/x?y");
  EXPECT_TRUE(head.http11 && head.keep_alive && head.expects_continue && !head.chunked);
  EXPECT_EQ(head.content_length, 12U);
  EXPECT_EQ(head.json_length, 7U);
  EXPECT_EQ(head.content_coding, Coding::kGzip);
  EXPECT_EQ(head.accepts, Coding::kDeflate);
}

TEST(RequestHead, EndsAtItsEmptyLine) {
  EXPECT_EQ(head_end("GET / HTTP/1.1\r\n\r\nrest"), 18U);
  EXPECT_EQ(head_end("GET / HTTP/1.1\r\n\r"), std::nullopt);
}

TEST(RequestHead, RefusesContradictions) {
  const auto refused = [](std::string_view fields) {
    const auto parsed = parse_head("POST / HTTP/1.1\r\n" + std::string(fields) + "\r\n\r\n");
    return std::holds_alternative<Refusal>(parsed);
  };
  EXPECT_TRUE(refused("Content-Length: 1\r\nContent-Length: 2"));
  EXPECT_TRUE(refused("Content-Length: 1\r\nTransfer-Encoding: chunked"));
  EXPECT_TRUE(refused("Inference-Header-Content-Length: 1\r\nInference-Header-Content-Length: 2"));
  EXPECT_TRUE(refused("Inference-Header-Content-Length:"));
  EXPECT_TRUE(refused("Inference-Header-Content-Length: 18446744073709551616"));
  EXPECT_FALSE(refused("Content-Length: 1"));
}

TEST(RequestHead, ChoosesACodingThatTheClientTakes) {
  EXPECT_EQ(accepted_coding(""), Coding::kIdentity);
  EXPECT_EQ(accepted_coding("identity, br"), Coding::kIdentity);
  EXPECT_EQ(accepted_coding("deflate, gzip;q=0.5"), Coding::kGzip);
  EXPECT_EQ(accepted_coding("gzip;q=0, deflate ; q=0.0"), Coding::kIdentity);
  EXPECT_EQ(accepted_coding("*"), Coding::kGzip);
}

}  // namespace
}  // namespace tessera::server::http
