// The one timer of a dispatcher.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

#include <semaphore.h>

#include "base/time.h"

namespace tessera::runtime {

// A thread that sleeps until the earliest moment it was set to and then calls `fire`. Setting it later than it sleeps
// costs two atomic operations and wakes nobody: it wakes at the old moment, finds that nothing is due, and sleeps on.
// The thread is not confined to any processor and asks for precedence over threads that compute, because what it
// does (answering requests whose time is up) must not wait for a running model.
class Timer {
 public:
  explicit Timer(std::function<void()> fire);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Replaces the moment; kNever: none. Called by the holder of the role alone.
  void set(TimePoint at);

  // Calls `fire` at once, on the timer's thread. Thread-safe.
  void wake();

 private:
  void loop();
  // Whether the moment has come; taking it stops the timer.
  bool take_due(std::int64_t until);

  const std::function<void()> fire_;
  std::atomic<std::int64_t> at_;              // on the monotonic axis, ns
  std::atomic<std::int64_t> sleeping_until_;  // what the thread waits for; minimum while it does not sleep
  std::atomic<bool> woken_{false};
  std::atomic<bool> stop_{false};
  sem_t signal_;
  std::thread thread_;
};

}  // namespace tessera::runtime
