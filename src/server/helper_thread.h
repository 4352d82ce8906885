// A thread for what would hold up a front end's own: large messages to unpack, folders to look through.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace tessera::server {

// Thread-safe. Works in the order given.
class HelperThread {
 public:
  // What may wait; whoever comes then is refused. Calls may be gone while their entry waits, so a bound on open calls
  // is none on these.
  static constexpr std::size_t kMaxWaiting = 1024;

  HelperThread();
  ~HelperThread();  // as stop()
  HelperThread(const HelperThread&) = delete;
  HelperThread& operator=(const HelperThread&) = delete;

  // False: too much waits, and the work is not done. Once stopped: done at once, on the calling thread.
  [[nodiscard]] bool post(std::function<void()> work);

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
