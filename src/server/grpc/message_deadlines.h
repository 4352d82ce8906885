// Ends calls whose only message does not arrive: senders that are slower than anybody needs to be.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <chrono>
#include <list>
#include <memory>
#include <mutex>

#include "base/time.h"
#include "server/grpc/queue_tag.h"

namespace tessera::server {

// A call whose message is awaited. Thread-safe.
class MessageWaiter {
 public:
  virtual ~MessageWaiter() = default;
  // The message did not come in time. Called once, by a thread of the queue.
  virtual void message_late() = 0;

 protected:
  virtual std::shared_ptr<MessageWaiter> share() = 0;

 private:
  friend class MessageDeadlines;
  enum class State { kIdle, kWaiting, kLate };
  struct Entry {
    MessageWaiter* waiter;
    TimePoint until;
  };
  State state_ = State::kIdle;        // under the lock of the deadlines
  std::list<Entry>::iterator place_;  // while waiting
};

// Thread-safe. All calls have the same time, so they pass their deadlines in the order in which they came: a call costs
// two moves between lists, and one alarm, set for the oldest, serves all that are answered meanwhile.
class MessageDeadlines final : public QueueTag {
 public:
  explicit MessageDeadlines(std::chrono::milliseconds limit) : limit_(limit) {}

  std::chrono::milliseconds limit() const { return limit_; }

  // Before the first call. The queue must outlive this, and take no further step after stop().
  void start(::grpc::CompletionQueue& queue) { queue_ = &queue; }
  void stop();

  // The waiter must live until it was forgotten or told.
  void await(MessageWaiter& waiter);
  // The message came, or is not awaited any more. False: too late, message_late() was called or is about to be.
  bool forget(MessageWaiter& waiter);

  void complete(bool ok) override;  // of the alarm

 private:
  using Entry = MessageWaiter::Entry;
  void set_alarm();  // with the lock held

  const std::chrono::milliseconds limit_;
  ::grpc::CompletionQueue* queue_ = nullptr;
  std::mutex mutex_;
  std::list<Entry> waiting_;  // the oldest first
  std::list<Entry> unused_;
  bool alarm_set_ = false;
  bool stopped_ = false;
  ::grpc::Alarm alarm_;
};

}  // namespace tessera::server
