// SIGTERM and SIGINT as an event to wait for.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/time.h"

namespace tessera::apps {

// Make it before any other thread, which then leave both signals to it. The first one is what wait() waits for; the
// second ends the process at once with status 128 + its number, as a shell shows a process that a signal ended.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Does `work` on this thread; where the first signal came already or comes meanwhile, `interrupt` is called once, and
  // must be short.
  void during(const std::function<void()>& work, const std::function<void()>& interrupt);

  // Until the first signal, a nudge() since the last wait, or `until`. Returns whether the first signal came.
  bool wait(TimePoint until);
  // Any thread; must not be called from within an interrupt. stop(): as the first signal.
  void stop();
  void nudge();
  bool stopped();  // whether the first signal came

 private:
  void watch();
  void stop_locked();

  std::mutex mutex_;
  std::condition_variable came_;
  const std::function<void()>* interrupt_ = nullptr;
  bool stopped_ = false;
  bool nudged_ = false;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace tessera::apps
