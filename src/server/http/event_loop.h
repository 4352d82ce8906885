// One thread's event loop: waits for descriptors, timers and tasks from other threads. A descriptor stays registered
// with epoll, level-triggered, from one request to the next: what a connection does again and again costs no system
// call beyond the wait itself (docs/decisions/032).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "base/result.h"

namespace tessera::server::http {

// Something to be run by the loop's thread. In at most one loop's list at a time.
class Task {
 public:
  virtual ~Task() = default;
  virtual void run() = 0;

 private:
  friend class TaskList;
  Task* next_ = nullptr;
  std::shared_ptr<Task> self_;  // while in the list
};

// A task that calls a function. As Task: made by any thread, run by the loop's.
class FunctionTask final : public Task {
 public:
  explicit FunctionTask(std::function<void()> what) : what_(std::move(what)) {}
  void run() override { what_(); }

 private:
  const std::function<void()> what_;
};

// Told by the loop's thread: that its descriptor is ready, and what it asked for at the end of a turn.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void readable() = 0;
  virtual void writable() = 0;
  virtual void turn_ends() {}
};

// Thread-safe where it says so; the rest is for the loop's thread, or for the thread that has not started it yet.
class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void run();   // returns after stop()
  void stop();  // thread-safe

  // Thread-safe, lock-free. Tasks run in the order of their posting, never inside post().
  void post(std::shared_ptr<Task> task);

  // Calls `watcher`'s turn_ends() in the present turn of the loop: when what is ready has been served, or soon where
  // that takes long. From within the loop.
  void at_turn_end(std::shared_ptr<Watcher> watcher);

  // Runs `task` again and again until the loop stops.
  void every(std::chrono::milliseconds period, std::shared_ptr<Task> task);

  bool in_loop_thread() const;  // thread-safe

 private:
  friend class LoopGate;
  friend class Watch;
  class State;
  std::shared_ptr<State> state_;
};

// The way into an event loop for those who may outlive it: once the loop is gone, tasks are dropped. Thread-safe,
// lock-free: whoever answers a request may be suspended at any moment, and must not hold up the others.
class LoopGate {
 public:
  explicit LoopGate(EventLoop& loop) : state_(loop.state_) {}
  void post(std::shared_ptr<Task> task) const;
  bool in_loop_thread() const;

 private:
  const std::shared_ptr<EventLoop::State> state_;
};

// A descriptor in a loop, which it owns. Owned by the loop's thread; it may be made by another, and where the loop does
// not run any more, be destroyed by another.
class Watch {
 public:
  Watch(EventLoop& loop, int descriptor);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  int descriptor() const;
  // One call of readable() (or writable()) follows, also when it is ready already or the peer is gone; `watcher` is
  // kept alive until then.
  void wait_readable(std::shared_ptr<Watcher> watcher);
  void wait_writable(std::shared_ptr<Watcher> watcher);
  // Calls that have not begun do not come any more.
  void close();

 private:
  friend class EventLoop;
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace tessera::server::http
