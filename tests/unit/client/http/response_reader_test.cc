// Responses in pieces of every size, and what is none.
#include "client/http/response_reader.h"

#include <gtest/gtest.h>

#include <string>

namespace tessera::client {
namespace {

// What came of `text` in pieces of `size`: status, body and whether the connection stays; or the error.
std::string read(const std::string& text, std::size_t size, bool ends = false) {
  ResponseReader reader(10);
  for (std::size_t i = 0; i < text.size(); i += size) {
    const auto complete = reader.feed(std::string_view(text).substr(i, size));
    if (!complete.ok()) {
      return "error";
    }
    if (*complete) {
      return (i + size < text.size() ? "early " : "") + std::to_string(reader.status()) + " " + reader.body() +
             (reader.stays() ? " stays" : " ends");
    }
  }
  return !ends ? "incomplete" : reader.end().ok() ? "ended " + reader.body() : "broken";
}

TEST(ResponseReader, InPiecesOfEverySize) {
  const std::string plain = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n123456789012";
  const std::string chunked =
      "HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
  const std::string empty = "HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  for (std::size_t size = 1; size < 100; ++size) {
    EXPECT_EQ(read(empty, size), "503  stays") << size;
    EXPECT_EQ(read(plain, size), "200 1234567890 stays") << size;
    EXPECT_EQ(read(chunked, size), "503 abcd ends") << size;
  }
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 100), "200  stays");
}

TEST(ResponseReader, UntilTheEnd) {
  EXPECT_EQ(read("HTTP/1.0 200 OK\r\n\r\nabc", 5, true), "ended abc");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", 5, true), "broken");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\n", 5, true), "broken");
  EXPECT_EQ(read("", 5, true), "broken");
}

TEST(ResponseReader, WhatIsNone) {
  EXPECT_EQ(read("SSH-2.0-OpenSSH\r\n\r\n", 100), "error");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 100), "error");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", 100), "error");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nA: " + std::string(100'000, 'a'), 1000), "error");
}

}  // namespace
}  // namespace tessera::client
