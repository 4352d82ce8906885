#include "server/http/io_thread.h"

#include <utility>

#include "base/affinity.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/precedence.h"
#include "server/http/connection.h"

namespace tessera::server::http {
namespace {

constexpr std::size_t kScratchBytes = 64 * 1024;
constexpr std::size_t kUnpackingBytes = 64 * 1024;
constexpr std::size_t kSpareExchanges = 64;
constexpr std::chrono::milliseconds kTickPeriod{250};

}  // namespace

IoThread::IoThread(const HttpOptions& options, Backend& backend, std::atomic<std::size_t>& open_connections)
    : options_(options),
      backend_(backend),
      open_connections_(open_connections),
      gate_(std::make_shared<LoopGate>(loop_)),
      scratch_(kScratchBytes),
      unpacking_(kUnpackingBytes) {}

IoThread::~IoThread() { TESSERA_CHECK(!thread_.joinable() && slots_.empty()); }

void IoThread::start(const std::optional<CpuSet>& place) {
  loop_.every(kTickPeriod, std::make_shared<FunctionTask>([this] { tick(); }));
  thread_ = std::thread([this, place] {
    name_this_thread("http");
    take_short_slices();
    if (place) {
      if (const Status confined = pin_this_thread(*place); !confined.ok()) {
        log(LogLevel::kWarning, "an HTTP thread runs anywhere", {{"error", confined.error().message()}});
      }
    }
    loop_.run();
  });
}

void IoThread::stop() {
  loop_.post(std::make_shared<FunctionTask>([this] {
    close_all();
    loop_.stop();
  }));
  if (thread_.joinable()) {
    thread_.join();
  }
}

void IoThread::adopt(int socket) {
  load_.fetch_add(1, std::memory_order_relaxed);
  open_connections_.fetch_add(1, std::memory_order_relaxed);
  // Held so that the socket is closed also where the loop stops first.
  auto connection = std::make_shared<Connection>(*this, socket);
  loop_.post(std::make_shared<FunctionTask>([this, connection] { add(connection); }));
}

void IoThread::begin_drain() {
  loop_.post(std::make_shared<FunctionTask>([this] {
    draining_ = true;
    for (std::size_t i = slots_.size(); i > 0; --i) {
      const auto connection = slots_[i - 1].connection;
      connection->drain();
    }
  }));
}

std::unique_ptr<Exchange> IoThread::take_exchange() {
  if (spare_.empty()) {
    return std::make_unique<Exchange>(backend_, static_cast<std::size_t>(options_.max_body.value), unpacking_);
  }
  auto exchange = std::move(spare_.back());
  spare_.pop_back();
  return exchange;
}

void IoThread::give_exchange(std::unique_ptr<Exchange> exchange) {
  exchange->reset();
  if (spare_.size() < kSpareExchanges) {
    spare_.push_back(std::move(exchange));
  }
}

void IoThread::add(const std::shared_ptr<Connection>& connection) {
  slots_.push_back({kNever, connection});
  connection->start(slots_.size() - 1);
}

void IoThread::remove(std::size_t slot) {
  TESSERA_CHECK(slot < slots_.size());
  if (slot + 1 != slots_.size()) {
    slots_[slot] = std::move(slots_.back());
    slots_[slot].connection->moved_to(slot);
  }
  slots_.pop_back();
  load_.fetch_sub(1, std::memory_order_relaxed);
  open_connections_.fetch_sub(1, std::memory_order_relaxed);
}

void IoThread::tick() {
  const TimePoint time = now();
  for (std::size_t i = slots_.size(); i > 0; --i) {
    if (i <= slots_.size() && slots_[i - 1].deadline <= time) {
      const auto connection = slots_[i - 1].connection;
      connection->deadline_passed();
    }
  }
}

void IoThread::close_all() {
  while (!slots_.empty()) {
    const auto connection = slots_.back().connection;
    connection->close();
  }
}

}  // namespace tessera::server::http
