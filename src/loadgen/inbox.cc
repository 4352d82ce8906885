#include "loadgen/inbox.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/check.h"
#include "base/clock.h"

namespace tessera::loadgen {

bool wait_readable(int descriptor, TimePoint until) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  // Longer waits come back for nothing and are repeated.
  const std::int64_t left = std::clamp<std::int64_t>((until - now()).count(), 0, 3600 * kSecond);
  const timespec limit{static_cast<time_t>(left / kSecond), static_cast<long>(left % kSecond)};
  pollfd one{descriptor, POLLIN, 0};
  return ppoll(&one, 1, &limit, nullptr) > 0;
}

Inbox::Inbox() : woken_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { TESSERA_CHECK(woken_.get() >= 0); }

void Inbox::push(Answer answer) noexcept {
  bool first = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    answers_.push_back(std::move(answer));
    first = answers_.size() == 1;
  }
  // Who is woken may take this thread's processor at once, and must not find the lock held then.
  if (first) {
    eventfd_write(woken_.get(), 1);
  }
}

void Inbox::take(TimePoint until, std::vector<Answer>& answers) {
  if (!wait_readable(woken_.get(), until)) {
    return;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  eventfd_t count = 0;
  eventfd_read(woken_.get(), &count);
  std::move(answers_.begin(), answers_.end(), std::back_inserter(answers));
  answers_.clear();
}

}  // namespace tessera::loadgen
