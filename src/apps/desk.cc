#include "apps/desk.h"

#include <chrono>
#include <exception>
#include <utility>

#include "base/affinity.h"

namespace tessera::apps {

Desk::Desk(const char* thread, std::string busy)
    : name_(thread), busy_text_(std::move(busy)), thread_([this] { run(); }) {}

Desk::~Desk() {
  static_cast<void>(stop(Duration{0}));
  thread_.join();
}

void Desk::take(Work work, Reply reply) {
  Status refused;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) {
      refused = unavailable("the server is stopping");
    } else if (busy_) {
      refused = Error(ErrorCode::kResourceExhausted, busy_text_).with_retry_after(std::chrono::seconds(1));
    } else {
      busy_ = true;
      work_ = std::move(work);
      reply_ = std::move(reply);
      changed_.notify_all();
      return;
    }
  }
  reply(refused.error());
}

void Desk::run() {
  name_this_thread(name_);
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return work_ || stopped_; });
    if (!work_) {
      return;
    }
    const Work work = std::exchange(work_, nullptr);
    const Reply reply = std::exchange(reply_, nullptr);
    lock.unlock();
    Result<std::string> said = unavailable("");
    try {
      said = work();
    } catch (const std::exception& error) {  // no thread, no memory
      said = unavailable(error.what());
    }
    lock.lock();
    busy_ = false;
    changed_.notify_all();
    lock.unlock();
    reply(std::move(said));
    lock.lock();
  }
}

bool Desk::stop(Duration limit) {
  std::unique_lock lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
  return changed_.wait_for(lock, limit, [this] { return !busy_; });
}

bool Desk::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

}  // namespace tessera::apps
