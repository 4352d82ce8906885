#include "server/helper_thread.h"

#include <utility>

#include "base/affinity.h"

namespace tessera::server {

HelperThread::HelperThread() : thread_([this] { run(); }) {}

HelperThread::~HelperThread() { stop(); }

bool HelperThread::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      if (work_.size() >= kMaxWaiting) return false;
      work_.push_back(std::move(work));
      changed_.notify_one();
      return true;
    }
  }
  work();
  return true;
}

void HelperThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void HelperThread::run() {
  name_this_thread("helper");
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !work_.empty(); });
    if (work_.empty()) return;
    {
      const auto work = std::move(work_.front());
      work_.pop_front();
      lock.unlock();
      work();
    }
    lock.lock();
  }
}

}  // namespace tessera::server
