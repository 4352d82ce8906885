// The queue in front of a role: many threads post, whoever holds the role takes everything at once.
#pragma once

#include <atomic>

namespace tessera::runtime {

// Something to be told to the holder of a dispatcher's role. It lies in the object it speaks of (a request's ticket, a
// launch's record), so posting allocates nothing and cannot fail, and the queue is bounded by the number of those
// objects: Dispatcher::Limits.
struct Message {
  enum class Kind { kArrival, kCancel, kLaunchEnded, kCopyEnded, kTimer, kControl, kDeviceDown, kStop };

  Kind kind;
  void* about = nullptr;    // a Ticket, a LaunchRecord, a CopyRecord or a ControlMessage, by kind
  Message* next = nullptr;  // owned by the inbox between push and take_all
};

// Lock-free: a push is one compare-and-swap, and since only take_all() removes, and removes all, no message can be
// taken for another one that lay at its address. Thread-safe; take_all by the holder.
class Inbox {
 public:
  void push(Message& message) {
    Message* top = top_.load(std::memory_order_relaxed);
    do {
      message.next = top;
      // Sequentially consistent, as is empty(): see Dispatcher::take_part.
    } while (!top_.compare_exchange_weak(top, &message, std::memory_order_seq_cst, std::memory_order_relaxed));
  }

  // All messages, linked by `next`, the oldest first; nullptr when there is none.
  Message* take_all() {
    Message* newest = top_.exchange(nullptr, std::memory_order_seq_cst);
    Message* oldest = nullptr;
    while (newest != nullptr) {
      Message* older = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = older;
    }
    return oldest;
  }

  bool empty() const { return top_.load(std::memory_order_seq_cst) == nullptr; }

 private:
  std::atomic<Message*> top_{nullptr};
};

}  // namespace tessera::runtime
