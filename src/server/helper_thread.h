// A thread for what would hold up a front end's own: large messages to unpack, folders to look through.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace tessera::server {

// Thread-safe. Works in the order given. The queue needs no bound of its own as long as callers keep to one entry for
// each call that is open, of which the front ends bound the number.
class HelperThread {
 public:
  HelperThread();
  ~HelperThread();  // as stop()
  HelperThread(const HelperThread&) = delete;
  HelperThread& operator=(const HelperThread&) = delete;

  // Once stopped: done at once, on the calling thread.
  void post(std::function<void()> work);

  // Does what is waiting, and ends the thread. Not to be called by the thread itself.
  void stop();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> work_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace tessera::server
