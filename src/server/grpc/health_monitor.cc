#include "server/grpc/health_monitor.h"

#include <chrono>

#include "base/affinity.h"

namespace tessera::server {

HealthMonitor::HealthMonitor() : thread_([this] { run(); }) {}

HealthMonitor::~HealthMonitor() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void HealthMonitor::add(const std::shared_ptr<HealthWatcher>& watcher) {
  {
    const std::lock_guard lock(mutex_);
    watchers_.push_back(watcher);
  }
  changed_.notify_all();
}

void HealthMonitor::run() {
  constexpr std::chrono::milliseconds kInterval{100};
  name_this_thread("health-watch");
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (watchers_.empty()) {
      changed_.wait(lock, [this] { return stopping_ || !watchers_.empty(); });
    } else {
      changed_.wait_for(lock, kInterval, [this] { return stopping_; });
    }
    std::erase_if(watchers_, [](const std::weak_ptr<HealthWatcher>& known) { return known.expired(); });
    const auto watchers = watchers_;
    lock.unlock();
    for (const auto& known : watchers) {
      if (const auto watcher = known.lock()) watcher->look();
    }
    lock.lock();
  }
}

}  // namespace tessera::server
