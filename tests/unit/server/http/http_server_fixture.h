// The front end over real sockets, with a backend that is not one.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/http/http_server.h"
#include "tests/unit/server/http/fake_backend.h"
#include "tests/unit/server/http/raw_client.h"

namespace tessera::server::http {

inline std::string int32_bytes(std::int32_t first, std::size_t count) {
  std::vector<std::int32_t> values(count);
  std::iota(values.begin(), values.end(), first);
  return {reinterpret_cast<const char*>(values.data()), count * 4};
}

// A request with two binary inputs of `count` integers.
inline std::string binary_request(std::string_view model, std::size_t count, std::string_view fields = "",
                                  std::string_view id = "") {
  const std::string size = std::to_string(count * 4);
  const std::string shape = "[1," + std::to_string(count) + "]";
  const std::string tensor =
      ",\"shape\":" + shape + ",\"datatype\":\"INT32\",\"parameters\":{\"binary_data_size\":" + size + "}}";
  const std::string json = "{\"id\":\"" + std::string(id) + "\",\"inputs\":[{\"name\":\"INPUT0\"" + tensor +
                           ",{\"name\":\"INPUT1\"" + tensor + "],\"parameters\":{\"binary_data_output\":true}}";
  return post("/v2/models/" + std::string(model) + "/infer", json + int32_bytes(0, count) + int32_bytes(1, count),
              "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n" + std::string(fields));
}

// Owned by the test's thread.
class HttpServerTest : public ::testing::Test {
 protected:
  void start() {
    options_.port = 0;
    auto started = HttpServer::start(options_, shared_backend_);
    ASSERT_TRUE(started.ok()) << started.error().message();
    server_ = *std::move(started);
  }
  RawAnswer exchange(RawClient& client, std::string_view text) {
    EXPECT_TRUE(client.send(text));
    auto answer = client.receive();
    EXPECT_TRUE(answer.has_value());
    return answer.value_or(RawAnswer{});
  }
  RawAnswer exchange(std::string_view text) {
    RawClient client(server_->port());
    return exchange(client, text);
  }
  template <typename Condition>
  static bool soon(Condition condition) {
    for (int i = 0; i < 2000 && !condition(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return condition();
  }

  HttpOptions options_;
  const std::shared_ptr<FakeBackend> shared_backend_ = std::make_shared<FakeBackend>();
  FakeBackend& backend_ = *shared_backend_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace tessera::server::http
