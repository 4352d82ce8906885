// Answers on their way from a target's threads to the one that generates the load.
#pragma once

#include <mutex>
#include <vector>

#include "base/descriptor.h"
#include "base/time.h"
#include "loadgen/target.h"

namespace tessera::loadgen {

// Holds no more than what is in flight.
class Inbox {
 public:
  Inbox();

  void push(Answer answer) noexcept;  // thread-safe
  // As Target::wait(). By one thread.
  void take(TimePoint until, std::vector<Answer>& answers);

 private:
  Descriptor woken_;  // an eventfd: written when the first answer comes
  std::mutex mutex_;
  std::vector<Answer> answers_;  // guarded by mutex_
};

// Waits until `descriptor` is readable or it is `until`; to the nanosecond, as far as the kernel's timers go.
bool wait_readable(int descriptor, TimePoint until);

}  // namespace tessera::loadgen
