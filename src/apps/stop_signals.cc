#include "apps/stop_signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>

#include "base/affinity.h"

namespace tessera::apps {
namespace {

sigset_t stop_set() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

StopSignals::StopSignals() {
  const sigset_t set = stop_set();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread([this] { watch(); });
}

StopSignals::~StopSignals() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  // It waits for just these signals: being sent one wakes it and ends nothing.
  pthread_kill(thread_.native_handle(), SIGINT);  // NOLINT(bugprone-bad-signal-to-kill-thread)
  thread_.join();
}

void StopSignals::watch() {
  name_this_thread("signals");
  const sigset_t set = stop_set();
  while (true) {
    int number = 0;
    if (sigwait(&set, &number) != 0) continue;
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    if (stopped_) _exit(128 + number);
    stop_locked();
  }
}

void StopSignals::stop_locked() {
  if (stopped_) return;
  stopped_ = true;
  if (interrupt_ != nullptr) (*interrupt_)();
  came_.notify_all();
}

void StopSignals::stop() {
  const std::lock_guard lock(mutex_);
  stop_locked();
}

void StopSignals::during(const std::function<void()>& work, const std::function<void()>& interrupt) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) {
      interrupt();
    } else {
      interrupt_ = &interrupt;
    }
  }
  work();
  const std::lock_guard lock(mutex_);
  interrupt_ = nullptr;
}

void StopSignals::nudge() {
  const std::lock_guard lock(mutex_);
  nudged_ = true;
  came_.notify_all();
}

bool StopSignals::wait(TimePoint until) {
  std::unique_lock lock(mutex_);
  const auto came = [this] { return stopped_ || nudged_; };
  if (until == kNever) {
    came_.wait(lock, came);
  } else {
    came_.wait_until(lock, std::chrono::steady_clock::time_point(until.time_since_epoch()), came);
  }
  nudged_ = false;
  return stopped_;
}

bool StopSignals::stopped() {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

}  // namespace tessera::apps
