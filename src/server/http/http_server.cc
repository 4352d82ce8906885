#include "server/http/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <future>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "base/log.h"
#include "server/http/answer_text.h"
#include "server/http/backend.h"
#include "server/http/body/json_text.h"
#include "server/http/io_thread.h"

namespace tessera::server {
namespace {

constexpr int kBacklog = 4096;
constexpr int kAcceptsPerTurn = 64;
constexpr std::chrono::milliseconds kDrainPoll{5};

// An address with its length, of either family.
struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

std::optional<Address> parse_address(const std::string& text, std::uint16_t port) {
  Address address;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&address.storage, &v4, sizeof v4);
    address.length = sizeof v4;
  } else if (::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&address.storage, &v6, sizeof v6);
    address.length = sizeof v6;
  } else {
    return std::nullopt;
  }
  return address;
}

std::uint16_t port_of(int socket) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  TESSERA_CHECK(::getsockname(socket, reinterpret_cast<sockaddr*>(&storage), &length) == 0);
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &storage, sizeof v6);
    return ntohs(v6.sin6_port);
  }
  sockaddr_in v4{};
  std::memcpy(&v4, &storage, sizeof v4);
  return ntohs(v4.sin_port);
}

Result<int> listen_at(const std::string& text, std::uint16_t port) {
  const auto address = parse_address(text == "localhost" ? "127.0.0.1" : text, port);
  if (!address) {
    return invalid_argument("'" + text + "' is not an IP address");
  }
  const int socket = ::socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  if (socket < 0 || ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
      ::bind(socket, reinterpret_cast<const sockaddr*>(&address->storage), address->length) != 0 ||
      ::listen(socket, kBacklog) != 0) {
    const std::string reason = std::strerror(errno);
    if (socket >= 0) {
      ::close(socket);
    }
    return unavailable("cannot listen at " + text + " port " + std::to_string(port) + ": " + reason);
  }
  return socket;
}

// Accepts connections on one thread's loop and hands each to the thread that has fewest. Owned by that thread.
class Acceptor final : public http::Watcher, public http::Task, public std::enable_shared_from_this<Acceptor> {
 public:
  using HandOver = std::function<void(int)>;
  Acceptor(http::EventLoop& loop, int socket, HandOver hand_over)
      : watch_(loop, socket), hand_over_(std::move(hand_over)) {}

  void begin() { watch_.wait_readable(shared_from_this()); }
  void close() {
    closed_ = true;
    watch_.close();
  }

  void readable() override {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      const int socket = ::accept4(watch_.descriptor(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket >= 0) {
        const int one = 1;
        ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        hand_over_(socket);
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // The next try comes with the next tick; connections wait in the backlog until then.
        log(LogLevel::kWarning, "cannot accept connections", {{"reason", std::string(std::strerror(errno))}});
        resting_ = true;
        return;
      } else if (errno != EINTR && errno != ECONNABORTED) {
        break;
      }
    }
    begin();
  }
  void writable() override {}

  // Called from time to time.
  void run() override {
    if (std::exchange(resting_, false) && !closed_) {
      begin();
    }
  }

 private:
  http::Watch watch_;
  const HandOver hand_over_;
  bool resting_ = false;
  bool closed_ = false;
};

}  // namespace

// The threads, the port and the limits. connections is thread-safe, hand_over() the first thread's, the rest owned by
// the thread that starts, drains and ends the server.
class HttpServer::State {
 public:
  State(HttpOptions given, std::shared_ptr<http::Backend> used) : options(std::move(given)), backend(std::move(used)) {}

  ~State() {
    stop_accepting();
    for (const auto& thread : threads) {
      thread->stop();
    }
    acceptor.reset();
  }

  Status listen() {
    TESSERA_ASSIGN_OR_RETURN(const int socket, listen_at(options.address, options.port));
    port = port_of(socket);
    for (std::size_t i = 0; i < std::max<std::size_t>(1, options.threads); ++i) {
      threads.push_back(std::make_unique<http::IoThread>(options, *backend, connections));
    }
    http::EventLoop& loop = threads.front()->loop();
    acceptor = std::make_shared<Acceptor>(loop, socket, [this](int accepted) { hand_over(accepted); });
    loop.every(std::chrono::milliseconds(100), acceptor);
    acceptor->begin();
    for (std::size_t i = 0; i < threads.size(); ++i) {
      threads[i]->start(options.places.empty() ? std::nullopt
                                               : std::optional(options.places[i % options.places.size()]));
    }
    return ok_status();
  }

  void hand_over(int socket) {
    if (connections.load(std::memory_order_relaxed) >= options.max_connections) {
      turn_away(socket);
      return;
    }
    (*std::min_element(threads.begin(), threads.end(), [](const auto& a, const auto& b) {
      return a->load() < b->load();
    }))->adopt(socket);
  }

  static void turn_away(int socket) {
    const std::string body = http::error_json("too many connections");
    std::string text;
    http::AnswerHead head;
    head.status = 503;
    head.content_length = body.size();
    head.keep_alive = false;
    head.retry_after = std::chrono::seconds(1);
    http::append_answer_head(text, head);
    text += body;
    const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    static_cast<void>(sent);
    ::close(socket);
  }

  // Returns when no connection can be accepted any more.
  void stop_accepting() {
    if (std::exchange(accepting_ended, true) || acceptor == nullptr) {
      return;
    }
    std::promise<void> closed;
    threads.front()->loop().post(std::make_shared<http::FunctionTask>([this, &closed] {
      acceptor->close();
      closed.set_value();
    }));
    closed.get_future().wait();
  }

  const HttpOptions options;
  const std::shared_ptr<http::Backend> backend;
  std::atomic<std::size_t> connections{0};
  std::uint16_t port = 0;
  std::vector<std::unique_ptr<http::IoThread>> threads;
  std::shared_ptr<Acceptor> acceptor;
  bool accepting_ended = false;
};

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpOptions options, std::shared_ptr<http::Backend> backend) {
  auto state = std::make_unique<State>(std::move(options), std::move(backend));
  TESSERA_RETURN_IF_ERROR(state->listen());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

std::uint16_t HttpServer::port() const { return state_->port; }
HttpStatistics HttpServer::statistics() const { return {state_->connections.load(std::memory_order_relaxed)}; }

bool HttpServer::drain(std::chrono::milliseconds limit) {
  state_->stop_accepting();
  for (const auto& thread : state_->threads) {
    thread->begin_drain();
  }
  const auto end = std::chrono::steady_clock::now() + limit;
  while (state_->connections.load(std::memory_order_relaxed) > 0) {
    if (std::chrono::steady_clock::now() >= end) {
      return false;
    }
    std::this_thread::sleep_for(kDrainPoll);
  }
  return true;
}

}  // namespace tessera::server
