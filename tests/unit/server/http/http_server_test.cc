// What the HTTP front end answers: bodies of every coding, limits, paths and methods.
#include "server/http/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "server/http/body/content_coding.h"
#include "tests/unit/server/http/http_server_fixture.h"

namespace tessera::server::http {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kJsonRequest =
    R"({"inputs":[{"name":"INPUT0","shape":[1,2],"datatype":"INT32","data":[[1,2]]},)"
    R"({"name":"INPUT1","shape":[1,2],"datatype":"INT32","data":[3,5]}]})";
constexpr std::string_view kJsonAnswer =
    R"("model_version":"1","outputs":[{"name":"OUTPUT0","datatype":"INT32","shape":[1,2],"data":[4,7]},)"
    R"({"name":"OUTPUT1","datatype":"INT32","shape":[1,2],"data":[-2,-3]}]})";

TEST_F(HttpServerTest, AnswersJsonWithJson) {
  start();
  const RawAnswer answer = exchange(post("/v2/models/addsub/infer", kJsonRequest));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.fields.at("content-type"), "application/json");
  EXPECT_EQ(answer.body, "{\"model_name\":\"addsub\"," + std::string(kJsonAnswer));
}

TEST_F(HttpServerTest, AnswersBinaryWithBinaryAndEchoesTheId) {
  start();
  const RawAnswer answer = exchange(binary_request("addsub", 16, "", "a\\\"b"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.fields.at("content-type"), "application/octet-stream");
  const std::size_t json = std::stoul(answer.fields.at("inference-header-content-length"));
  ASSERT_EQ(answer.body.size(), json + 128);
  EXPECT_THAT(answer.body, StartsWith("{\"id\":\"a\\\"b\",\"model_name\":\"addsub\""));
  std::int32_t sum[16];
  std::memcpy(sum, answer.body.data() + json, sizeof sum);
  EXPECT_EQ(sum[15], 31);
}

TEST_F(HttpServerTest, AnswersFromAnotherThread) {
  backend_.answer_on_another_thread = true;
  start();
  RawClient client(server_->port());
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(exchange(client, binary_request("addsub", 16)).status, 200);
  }
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  backend_.answer_on_another_thread = true;
  start();
  RawClient client(server_->port());
  std::string text;
  for (int i = 0; i < 100; ++i) {
    text += binary_request("addsub", 16, "", std::to_string(i));
    text += get("/v2/health/live");
  }
  ASSERT_TRUE(client.send(text));
  for (int i = 0; i < 100; ++i) {
    const auto answer = client.receive();
    ASSERT_TRUE(answer.has_value());
    EXPECT_THAT(answer->body, StartsWith("{\"id\":\"" + std::to_string(i) + "\","));
    const auto live = client.receive();
    ASSERT_TRUE(live.has_value());
    EXPECT_THAT(live->body, StartsWith("{\"endpoint\":1"));
  }
}

TEST_F(HttpServerTest, TakesARequestByteByByte) {
  start();
  RawClient client(server_->port());
  const std::string text = binary_request("addsub", 2);
  for (const char c : text) {
    ASSERT_TRUE(client.send({&c, 1}));
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  const auto answer = client.receive();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status, 200);
}

TEST_F(HttpServerTest, ReadsALargeBodyWithoutCopyingIt) {
  start();
  RawClient client(server_->port());
  constexpr std::size_t kCount = 1'000'000;
  ASSERT_TRUE(client.send(binary_request("addsub", kCount)));
  const auto answer = client.receive();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status, 200);
  const std::size_t json = std::stoul(answer->fields.at("inference-header-content-length"));
  std::vector<std::int32_t> sum(kCount);
  std::memcpy(sum.data(), answer->body.data() + json, kCount * 4);
  for (std::size_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(sum[i], static_cast<std::int32_t>(2 * i + 1));
  }
  // Only what came along with the head was copied.
  EXPECT_LE(backend_.copied, 4096u);
}

TEST_F(HttpServerTest, ReadsChunkedBodies) {
  start();
  RawClient client(server_->port());
  std::string text = "POST /v2/models/addsub/infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::size_t at = 0; at < kJsonRequest.size(); at += 7) {
    const auto piece = kJsonRequest.substr(at, 7);
    text += std::to_string(piece.size()) + ";x=y\r\n" + std::string(piece) + "\r\n";
  }
  text += "0\r\nTrailer: 1\r\n\r\n" + get("/v2/health/live");
  for (std::size_t at = 0; at < text.size(); at += 11) {
    ASSERT_TRUE(client.send(std::string_view(text).substr(at, 11)));
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  const auto answer = client.receive();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->body, "{\"model_name\":\"addsub\"," + std::string(kJsonAnswer));
  EXPECT_EQ(client.receive().value_or(RawAnswer{}).status, 200);
}

TEST_F(HttpServerTest, RefusesBrokenChunks) {
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(
      client.send("POST /v2/models/addsub/infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"));
  EXPECT_EQ(client.receive().value_or(RawAnswer{}).status, 400);
  EXPECT_TRUE(client.closed_by_peer());
}

TEST_F(HttpServerTest, RefusesALengthTogetherWithChunks) {
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send(
      "POST /v2/models/addsub/infer HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
  EXPECT_EQ(client.receive().value_or(RawAnswer{}).status, 400);
  EXPECT_TRUE(client.closed_by_peer());
}

std::string packed(std::string_view text, Coding coding) {
  std::string result;
  Deflater deflater(coding);
  deflater.write(std::as_bytes(std::span(text.data(), text.size())), true, result);
  return result;
}

std::string unpacked(std::string_view text) {
  std::string result;
  Inflater inflater(std::size_t{1} << 30);
  std::vector<std::byte> room(1 << 16);
  while (!inflater.done()) {
    const auto step = inflater.step(std::as_bytes(std::span(text.data(), text.size())), room);
    if (!step.ok() || (step->used == 0 && step->unpacked.empty())) {
      return "broken";
    }
    result.append(reinterpret_cast<const char*>(step->unpacked.data()), step->unpacked.size());
    text.remove_prefix(step->used);
  }
  return result;
}

TEST_F(HttpServerTest, UnpacksCompressedBodies) {
  start();
  const std::string_view plain = kJsonRequest;
  EXPECT_THAT(
      exchange(post("/v2/models/addsub/infer", packed(plain, Coding::kGzip), "Content-Encoding: gzip\r\n")).body,
      HasSubstr(kJsonAnswer));
  EXPECT_THAT(
      exchange(post("/v2/models/addsub/infer", packed(plain, Coding::kDeflate), "Content-Encoding: deflate\r\n")).body,
      HasSubstr(kJsonAnswer));
  EXPECT_EQ(exchange(post("/v2/models/addsub/infer", plain, "Content-Encoding: gzip\r\n")).status, 400);
  EXPECT_EQ(
      exchange(post("/v2/models/addsub/infer", packed(plain, Coding::kGzip) + "more", "Content-Encoding: gzip\r\n"))
          .status,
      400);
  const std::string cut = packed(plain, Coding::kGzip);
  EXPECT_EQ(
      exchange(post("/v2/models/addsub/infer", cut.substr(0, cut.size() - 9), "Content-Encoding: gzip\r\n")).status,
      400);
  EXPECT_EQ(exchange(post("/v2/models/addsub/infer", plain, "Content-Encoding: br\r\n")).status, 415);
}

TEST_F(HttpServerTest, StopsAtAGzipBomb) {
  options_.max_body = Bytes{1 << 20};
  start();
  const std::string bomb = packed(std::string(64 << 20, ' '), Coding::kGzip);
  ASSERT_LT(bomb.size(), std::size_t{1} << 20);
  const RawAnswer answer = exchange(post("/v2/models/addsub/infer", bomb, "Content-Encoding: gzip\r\n"));
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(exchange(get("/v2/health/live")).status, 200);
}

TEST_F(HttpServerTest, PacksAnswersThatAreWorthIt) {
  start();
  const RawAnswer small = exchange(post("/v2/models/addsub/infer", kJsonRequest, "Accept-Encoding: gzip, deflate\r\n"));
  EXPECT_EQ(small.fields.count("content-encoding"), 0u);
  const RawAnswer plain = exchange(binary_request("addsub", 100'000));
  const RawAnswer gzip = exchange(binary_request("addsub", 100'000, "Accept-Encoding: deflate, gzip\r\n"));
  EXPECT_EQ(gzip.fields.at("content-encoding"), "gzip");
  EXPECT_EQ(gzip.fields.at("inference-header-content-length"), plain.fields.at("inference-header-content-length"));
  EXPECT_LT(gzip.body.size(), plain.body.size());
  EXPECT_TRUE(unpacked(gzip.body) == plain.body);
  const RawAnswer deflate = exchange(binary_request("addsub", 100'000, "Accept-Encoding: gzip;q=0, deflate\r\n"));
  EXPECT_EQ(deflate.fields.at("content-encoding"), "deflate");
  EXPECT_TRUE(unpacked(deflate.body) == plain.body);
}

TEST_F(HttpServerTest, RefusesWhatIsTooLarge) {
  options_.max_body = Bytes{1000};
  start();
  RawClient client(server_->port());
  EXPECT_EQ(exchange(client, post("/v2/models/addsub/infer", std::string(2000, ' '))).status, 413);
  // A small body is skipped, so that the connection can be used again.
  EXPECT_EQ(exchange(client, get("/v2/health/live")).status, 200);
  RawClient large(server_->port());
  const auto answer = exchange(large, post("/v2/models/addsub/infer", std::string(3'000'000, ' ')));
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.fields.at("connection"), "close");
  EXPECT_TRUE(large.closed_by_peer());
}

TEST_F(HttpServerTest, RefusesAHeadThatIsTooLargeOrBroken) {
  start();
  RawClient large(server_->port());
  EXPECT_EQ(exchange(large, get("/v2", "X: " + std::string(20'000, 'x') + "\r\n")).status, 431);
  EXPECT_TRUE(large.closed_by_peer());
  for (const std::string_view text :
       {"GET\r\n\r\n", "GET /v2 HTTP/3.0\r\n\r\n", "\x16\x03\x01 x\r\n\r\n", "GET /v2 HTTP/1.1\r\nbad header\r\n\r\n",
        "POST /v2 HTTP/1.1\r\nContent-Length: 1x\r\n\r\n", "POST /v2 HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /v2 HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "POST /v2/models/a/infer HTTP/1.1\r\nInference-Header-Content-Length: x\r\n\r\n"}) {
    RawClient client(server_->port());
    EXPECT_EQ(exchange(client, text).status, 400) << text;
    EXPECT_TRUE(client.closed_by_peer()) << text;
  }
}

TEST_F(HttpServerTest, ContinuesWhenExpectedTo) {
  start();
  RawClient client(server_->port());
  const std::string text = post("/v2/models/addsub/infer", kJsonRequest, "Expect: 100-continue\r\n");
  const std::size_t head = text.find("\r\n\r\n") + 4;
  ASSERT_TRUE(client.send(std::string_view(text).substr(0, head)));
  EXPECT_EQ(client.receive().value_or(RawAnswer{}).status, 100);
  ASSERT_TRUE(client.send(std::string_view(text).substr(head)));
  EXPECT_EQ(client.receive().value_or(RawAnswer{}).status, 200);
  EXPECT_EQ(exchange(client, post("/v2/models/addsub/infer", kJsonRequest, "Expect:\r\n")).status, 200);
  EXPECT_EQ(exchange(post("/v2/models/addsub/infer", kJsonRequest, "Expect: tea\r\n")).status, 417);
}

TEST_F(HttpServerTest, KnowsPathsAndMethods) {
  start();
  RawClient client(server_->port());
  EXPECT_EQ(exchange(client, get("/v3")).status, 404);
  EXPECT_EQ(exchange(client, get("/v2/models/a/infer")).status, 405);
  const RawAnswer wrong = exchange(client, post("/v2/health/live", "{}"));
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.fields.at("allow"), "GET, HEAD");
  EXPECT_EQ(exchange(client, get("/v2/models/a/versions/0")).status, 400);
  EXPECT_EQ(exchange(client, get("/v2/models/a%2/ready")).status, 400);
  EXPECT_EQ(exchange(client, post("/v2/repository/index", "{\"ready\":true}")).status, 200);
  ASSERT_TRUE(client.send("HEAD /v2/health/live HTTP/1.1\r\n\r\n"));
  const auto head = client.receive(true);
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->status, 200);
  EXPECT_NE(head->fields.at("content-length"), "0");
  EXPECT_EQ(exchange(client, get("/v2/health/live")).status, 200);
}

TEST_F(HttpServerTest, SaysWhenToRetry) {
  start();
  const RawAnswer answer = exchange(binary_request("busy", 16));
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.fields.at("retry-after"), "2");
  EXPECT_EQ(answer.body, "{\"error\":\"[request id: <id_unknown>] later\"}");
}

TEST_F(HttpServerTest, RefusesABodyOverItsQuota) {
  backend_.quota = 100'000;
  start();
  RawClient client(server_->port());
  EXPECT_EQ(exchange(client, binary_request("addsub", 1'000'000)).status, 503);
  EXPECT_TRUE(soon([this] { return backend_.charged == 0; }));
}

}  // namespace
}  // namespace tessera::server::http
