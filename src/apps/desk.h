// Takes on what a running server is asked to do, one thing at a time, on a thread of its own.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "base/time.h"

namespace tessera::apps {

// Thread-safe. Its thread is there from the beginning, with the processors and the precedence of who made the desk, not
// those of who asks.
class Desk {
 public:
  using Work = std::function<Result<std::string>()>;
  using Reply = std::function<void(Result<std::string>)>;

  // `thread`: its name. `busy`: what is said to who asks meanwhile.
  Desk(const char* thread, std::string busy);
  ~Desk();  // waits for what is being done
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  // Replies with what `work` says, or with an exception that it throws, when the next may ask. At once where something
  // is being done (kResourceExhausted, with a time to come again) or the desk has stopped.
  void take(Work work, Reply reply);

  // Takes on nothing any more. Whether what was being done, which is to look at stopped(), has ended within `limit`.
  bool stop(Duration limit);
  bool stopped() const;

 private:
  void run();

  const char* const name_;
  const std::string busy_text_;
  mutable std::mutex mutex_;  // guards the next four
  std::condition_variable changed_;
  Work work_;
  Reply reply_;
  bool busy_ = false;
  bool stopped_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace tessera::apps
