// Looks again and again on behalf of those who watch for a change.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace tessera::server {

// One who watches a service's health. look() is called by the monitor's thread.
class HealthWatcher {
 public:
  virtual ~HealthWatcher() = default;
  virtual void look() = 0;
};

// Thread-safe. Readiness has no event of its own, so a thread compares while somebody watches, and sleeps otherwise.
class HealthMonitor {
 public:
  HealthMonitor();
  ~HealthMonitor();
  HealthMonitor(const HealthMonitor&) = delete;
  HealthMonitor& operator=(const HealthMonitor&) = delete;

  // look() is called every 100 ms from now on, as long as the watcher lives.
  void add(const std::shared_ptr<HealthWatcher>& watcher);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::weak_ptr<HealthWatcher>> watchers_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tessera::server
