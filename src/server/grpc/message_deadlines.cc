#include "server/grpc/message_deadlines.h"

#include <algorithm>
#include <vector>

#include "base/clock.h"

namespace tessera::server {

void MessageDeadlines::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  if (alarm_set_) alarm_.Cancel();
}

void MessageDeadlines::await(MessageWaiter& waiter) {
  const TimePoint until = now() + limit_;
  const std::lock_guard lock(mutex_);
  if (unused_.empty()) unused_.emplace_back();
  waiting_.splice(waiting_.end(), unused_, unused_.begin());
  waiting_.back() = {&waiter, until};
  waiter.place_ = std::prev(waiting_.end());
  waiter.state_ = MessageWaiter::State::kWaiting;
  if (!alarm_set_) set_alarm();
}

bool MessageDeadlines::forget(MessageWaiter& waiter) {
  const std::lock_guard lock(mutex_);
  if (waiter.state_ == MessageWaiter::State::kWaiting) {
    unused_.splice(unused_.begin(), waiting_, waiter.place_);
    waiter.state_ = MessageWaiter::State::kIdle;
  }
  return waiter.state_ == MessageWaiter::State::kIdle;
}

void MessageDeadlines::complete(bool /*ok*/) {
  std::vector<std::shared_ptr<MessageWaiter>> late;
  {
    const std::lock_guard lock(mutex_);
    alarm_set_ = false;
    const TimePoint time = now();
    while (!waiting_.empty() && waiting_.front().until <= time) {
      MessageWaiter& waiter = *waiting_.front().waiter;
      waiter.state_ = MessageWaiter::State::kLate;
      late.push_back(waiter.share());
      unused_.splice(unused_.begin(), waiting_, waiting_.begin());
    }
    if (!waiting_.empty()) set_alarm();
  }
  for (const auto& waiter : late) waiter->message_late();
}

void MessageDeadlines::set_alarm() {
  if (stopped_) return;
  alarm_set_ = true;
  const auto left = std::max<Duration>(waiting_.front().until - now(), std::chrono::milliseconds(1));
  alarm_.Set(queue_,
             std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::system_clock::duration>(left),
             static_cast<QueueTag*>(this));
}

}  // namespace tessera::server
