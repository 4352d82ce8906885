// One thread of the HTTP front end with the connections that stay on it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/affinity.h"
#include "base/time.h"
#include "server/http/backend.h"
#include "server/http/event_loop.h"
#include "server/http/exchange.h"
#include "server/http/http_server.h"
#include "server/http/infer_call.h"

namespace tessera::server::http {

class Connection;

// Owned by its own thread, except where a method says otherwise.
class IoThread {
 public:
  IoThread(const HttpOptions& options, Backend& backend, std::atomic<std::size_t>& open_connections);
  ~IoThread();  // any thread, after stop()
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  // Any thread.
  void start(const std::optional<CpuSet>& place);  // none: it runs anywhere
  void stop();
  void adopt(int socket);  // hands over a connected socket
  void begin_drain();
  std::size_t load() const { return load_.load(std::memory_order_relaxed); }
  EventLoop& loop() { return loop_; }

  // For connections.
  const HttpOptions& options() const { return options_; }
  Backend& backend() { return backend_; }
  const std::shared_ptr<LoopGate>& gate() const { return gate_; }
  std::span<char> scratch() { return scratch_; }
  bool draining() const { return draining_; }

  std::unique_ptr<Exchange> take_exchange();
  void give_exchange(std::unique_ptr<Exchange> exchange);

  // A connection's place among those of the thread, with its deadline.
  void add(const std::shared_ptr<Connection>& connection);
  void remove(std::size_t slot);
  void set_deadline(std::size_t slot, TimePoint deadline) { slots_[slot].deadline = deadline; }

 private:
  struct Slot {
    TimePoint deadline = kNever;
    std::shared_ptr<Connection> connection;
  };
  class Tick;

  void tick();
  void close_all();

  const HttpOptions& options_;
  Backend& backend_;
  std::atomic<std::size_t>& open_connections_;
  EventLoop loop_;
  std::shared_ptr<LoopGate> gate_;
  std::thread thread_;
  std::vector<Slot> slots_;
  std::vector<char> scratch_;
  std::vector<std::byte> unpacking_;
  std::vector<std::unique_ptr<Exchange>> spare_;
  bool draining_ = false;
  std::atomic<std::size_t> load_{0};
};

}  // namespace tessera::server::http
