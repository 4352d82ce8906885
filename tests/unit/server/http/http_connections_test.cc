// The life of connections: kept, closed, given up on, turned away, drained and cut off.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "tests/unit/server/http/http_server_fixture.h"

namespace tessera::server::http {
namespace {

TEST_F(HttpServerTest, ClosesWhenAskedTo) {
  start();
  RawClient client(server_->port());
  EXPECT_EQ(exchange(client, get("/v2", "Connection: close\r\n")).fields.at("connection"), "close");
  EXPECT_TRUE(client.closed_by_peer());
  RawClient old(server_->port());
  EXPECT_EQ(exchange(old, "GET /v2 HTTP/1.0\r\n\r\n").status, 200);
  EXPECT_TRUE(old.closed_by_peer());
  RawClient kept(server_->port());
  EXPECT_EQ(exchange(kept, "GET /v2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").fields.at("connection"), "keep-alive");
  EXPECT_EQ(exchange(kept, get("/v2")).status, 200);
}

TEST_F(HttpServerTest, KeepsAConnectionAfterABadRequest) {
  start();
  RawClient client(server_->port());
  EXPECT_EQ(exchange(client, post("/v2/models/addsub/infer", "{\"inputs\":[")).status, 400);
  EXPECT_EQ(exchange(client, post("/v2/models/addsub/infer", "[1,2,3]" + std::string(100'000, ' '))).status, 400);
  EXPECT_EQ(exchange(client, binary_request("none", 16)).status, 404);
  EXPECT_EQ(exchange(client, binary_request("none", 20'000)).status, 404);
  EXPECT_EQ(exchange(client, binary_request("addsub", 16)).status, 200);
}

TEST_F(HttpServerTest, CancelsWhenThePeerGoesAway) {
  start();
  {
    RawClient client(server_->port());
    ASSERT_TRUE(client.send(binary_request("hold", 16)));
    ASSERT_TRUE(soon([this] { return backend_.held() == 1; }));
  }
  EXPECT_TRUE(soon([this] { return backend_.cancelled == 1; }));
  backend_.release();  // the late answer finds nobody
  EXPECT_TRUE(soon([this] { return server_->statistics().connections == 0; }));
  EXPECT_EQ(exchange(binary_request("addsub", 16)).status, 200);
}

TEST_F(HttpServerTest, GivesBackWhatAVanishedSenderHeld) {
  start();
  {
    RawClient client(server_->port());
    const std::string text = binary_request("addsub", 1'000'000);
    ASSERT_TRUE(client.send(std::string_view(text).substr(0, 1'000'000)));
    ASSERT_TRUE(soon([this] { return backend_.charged > 900'000; }));
    EXPECT_LE(backend_.charged, 1'000'000u);  // only what has arrived
  }
  EXPECT_TRUE(soon([this] { return backend_.charged == 0; }));
  EXPECT_EQ(backend_.inferred, 0);
}

TEST_F(HttpServerTest, GivesUpOnSlowSenders) {
  options_.head_time = std::chrono::milliseconds(100);
  options_.body_time = std::chrono::milliseconds(100);
  options_.idle_time = std::chrono::milliseconds(100);
  start();
  RawClient head(server_->port());
  ASSERT_TRUE(head.send("GET /v2 HT"));
  RawClient body(server_->port());
  ASSERT_TRUE(body.send("POST /v2/models/addsub/infer HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{"));
  RawClient idle(server_->port());
  EXPECT_EQ(head.receive().value_or(RawAnswer{}).status, 408);
  EXPECT_TRUE(head.closed_by_peer());
  EXPECT_EQ(body.receive().value_or(RawAnswer{}).status, 408);
  EXPECT_TRUE(body.closed_by_peer());
  EXPECT_TRUE(idle.closed_by_peer());
}

TEST_F(HttpServerTest, ClosesOnPeersThatDoNotRead) {
  options_.write_time = std::chrono::milliseconds(100);
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send(binary_request("addsub", 2'000'000)));
  EXPECT_TRUE(soon([this] { return backend_.inferred == 1 && server_->statistics().connections == 0; }));
}

TEST_F(HttpServerTest, RunsOnAllProcessorsOfItsPlace) {
  const auto allowed = allowed_cpus();
  ASSERT_TRUE(allowed.ok());
  CpuSet one;
  one.add(allowed->list().back());
  options_.threads = 3;
  options_.places = {*allowed, one};  // the third thread's is the first again
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i < options_.threads; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
    EXPECT_EQ(exchange(*clients.back(), get("/v2")).status, 200);
  }
  const auto places = backend_.places();
  ASSERT_EQ(places.size(), 3u);
  EXPECT_EQ(std::count(places.begin(), places.end(), one), *allowed == one ? 3 : 1);
  EXPECT_EQ(std::count(places.begin(), places.end(), *allowed), *allowed == one ? 3 : 2);
}

TEST_F(HttpServerTest, TurnsConnectionsAwayBeyondTheLimit) {
  options_.max_connections = 2;
  start();
  RawClient a(server_->port());
  RawClient b(server_->port());
  EXPECT_EQ(exchange(a, get("/v2")).status, 200);
  EXPECT_EQ(exchange(b, get("/v2")).status, 200);
  RawClient c(server_->port());
  EXPECT_EQ(c.receive().value_or(RawAnswer{}).status, 503);
  a.close();
  ASSERT_TRUE(soon([this] { return server_->statistics().connections == 1; }));
  RawClient d(server_->port());
  EXPECT_EQ(exchange(d, get("/v2")).status, 200);
}

TEST_F(HttpServerTest, SpreadsConnectionsOverItsThreads) {
  options_.threads = 3;
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 9; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
  }
  for (const auto& client : clients) {
    EXPECT_EQ(exchange(*client, binary_request("addsub", 16)).status, 200);
  }
}

TEST_F(HttpServerTest, DrainsAfterTheLastAnswer) {
  start();
  RawClient idle(server_->port());
  EXPECT_EQ(exchange(idle, get("/v2")).status, 200);
  RawClient busy(server_->port());
  ASSERT_TRUE(busy.send(binary_request("hold", 16)));
  ASSERT_TRUE(soon([this] { return backend_.held() == 1; }));
  EXPECT_FALSE(server_->drain(std::chrono::milliseconds(50)));
  EXPECT_TRUE(idle.closed_by_peer());
  EXPECT_FALSE(RawClient(server_->port()).connected());
  backend_.release();
  const auto answer = busy.receive();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->fields.at("connection"), "close");
  EXPECT_TRUE(busy.closed_by_peer());
  EXPECT_TRUE(server_->drain(std::chrono::seconds(10)));
}

TEST_F(HttpServerTest, DrainingDoesNotWaitForRequestsThatAreNotThere) {
  start();
  const std::string whole = binary_request("addsub", 16);
  std::vector<std::unique_ptr<RawClient>> halves;
  for (const std::string& text : {whole.substr(0, 20), whole.substr(0, whole.size() - 1),
                                  std::string("POST /v2/models/addsub/infer HTTP/1.1\r\nHost: t\r\n"
                                              "Transfer-Encoding: chunked\r\n\r\n5\r\n{")}) {
    halves.push_back(std::make_unique<RawClient>(server_->port()));
    ASSERT_TRUE(halves.back()->send(text));
  }
  RawClient refused(server_->port());
  ASSERT_TRUE(refused.send("GET /v2 HTTP/9.9\r\n\r\n"));
  EXPECT_EQ(refused.receive().value_or(RawAnswer{}).status, 400);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));   // nothing shows that the halves have been read
  EXPECT_TRUE(server_->drain(std::chrono::milliseconds(1000)));  // less than a refused client is listened to
  for (const auto& half : halves) {
    const auto answer = half->receive();
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->status, 503);
    EXPECT_EQ(answer->fields.at("connection"), "close");
    EXPECT_TRUE(half->closed_by_peer());
  }
}

TEST_F(HttpServerTest, StopsWithRequestsInFlight) {
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send(binary_request("hold", 16)));
  ASSERT_TRUE(soon([this] { return backend_.held() == 1; }));
  server_.reset();
  EXPECT_TRUE(client.closed_by_peer());
  backend_.release();
}

TEST_F(HttpServerTest, SaysWhyItCannotListen) {
  start();
  HttpOptions taken;
  taken.port = server_->port();
  const auto second = HttpServer::start(taken, shared_backend_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kUnavailable);
  taken.address = "not an address";
  EXPECT_EQ(HttpServer::start(taken, shared_backend_).error().code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tessera::server::http
