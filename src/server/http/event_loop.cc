#include "server/http/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"

namespace tessera::server::http {
namespace {

constexpr std::size_t kEventsPerWait = 64;
// What waits for the end of a turn does not wait longer than this and the longest single event.
constexpr std::chrono::microseconds kLongTurn{100};

}  // namespace

// What other threads post: a list that is pushed to with one compare-and-swap and taken as a whole. Thread-safe;
// take_all() and close() by the loop's owner, but for what comes after close(): its poster drops that itself.
class TaskList {
 public:
  ~TaskList() { TESSERA_CHECK(empty()); }

  // Once closed, the task is dropped.
  void push(std::shared_ptr<Task> task) {
    Task* const pushed = task.get();
    TESSERA_CHECK(pushed->self_ == nullptr);
    pushed->self_ = std::move(task);
    Task* top = top_.load(std::memory_order_relaxed);
    do {
      pushed->next_ = top;
    } while (!top_.compare_exchange_weak(top, pushed, std::memory_order_seq_cst, std::memory_order_relaxed));
    if (closed_.load(std::memory_order_seq_cst)) {
      take_all();  // whoever sees both is the one who drops
    }
  }

  // In the order of their posting.
  std::vector<std::shared_ptr<Task>> take_all() {
    std::vector<std::shared_ptr<Task>> tasks;
    for (Task* task = top_.exchange(nullptr, std::memory_order_seq_cst); task != nullptr;) {
      Task* const next = task->next_;
      tasks.push_back(std::move(task->self_));
      task = next;
    }
    std::reverse(tasks.begin(), tasks.end());
    return tasks;
  }

  bool empty() const { return top_.load(std::memory_order_seq_cst) == nullptr; }

  void close() {
    closed_.store(true, std::memory_order_seq_cst);
    take_all();
  }

 private:
  std::atomic<Task*> top_{nullptr};
  std::atomic<bool> closed_{false};
};

// A registered descriptor. Shared by its Watch and, once closed, by the loop, whose last wait may still speak of it.
class Watch::State : public std::enable_shared_from_this<Watch::State> {
 public:
  State(EventLoop::State& in_loop, int fd) : loop(in_loop), descriptor(fd) {}

  void want(std::uint32_t event);
  void ready(std::uint32_t events);
  void close();

  EventLoop::State& loop;
  int descriptor;  // -1 once closed
  std::shared_ptr<Watcher> reader;
  std::shared_ptr<Watcher> writer;

 private:
  bool set_interest(std::uint32_t events);

  std::uint32_t interest_ = 0;
  bool registered_ = false;
};

// The loop itself; gates share it, since they may outlive the loop's owner. post(), stop() and in_thread() are
// thread-safe, the rest is for the loop's thread, or the owner while that does not run.
class EventLoop::State {
 public:
  State() : epoll(::epoll_create1(EPOLL_CLOEXEC)), wake_up(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    TESSERA_CHECK(epoll >= 0 && wake_up >= 0);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = nullptr;
    TESSERA_CHECK(::epoll_ctl(epoll, EPOLL_CTL_ADD, wake_up, &event) == 0);
  }
  ~State() {
    ::close(wake_up);
    ::close(epoll);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void run() {
    thread_.store(std::this_thread::get_id());
    while (!stop_.load()) {
      wait();
      run_tasks();
      run_periodic();
      end_turn();
      closed.clear();
    }
    thread_.store(std::thread::id());
  }

  void stop() {
    stop_.store(true);
    wake();
  }

  // No task runs after this, and what they own goes: it may be a Watch of this loop.
  void close() {
    tasks_.close();
    turn_end_.clear();
    periodic_.clear();
    closed.clear();
  }

  // The loop says that it goes to sleep and then looks at the list, a poster pushes and then looks whether the loop
  // sleeps: one of them sees the other. Each poster wakes a sleeping loop itself, as one that was here first may be
  // suspended before it does.
  void post(std::shared_ptr<Task> task) {
    tasks_.push(std::move(task));
    if (asleep_.load(std::memory_order_seq_cst) && !in_thread()) {
      wake();
    }
  }

  void at_turn_end(std::shared_ptr<Watcher> watcher) {
    if (turn_end_.empty()) {
      turn_end_since_ = now();
    }
    turn_end_.push_back(std::move(watcher));
  }

  void every(std::chrono::milliseconds period, std::shared_ptr<Task> task) {
    periodic_.push_back({now() + period, period, std::move(task)});
  }

  bool in_thread() const { return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id(); }

  const int epoll;
  const int wake_up;
  std::vector<std::shared_ptr<Watch::State>> closed;  // since the last wait

 private:
  struct Periodic {
    TimePoint next;
    std::chrono::milliseconds period;
    std::shared_ptr<Task> task;
  };

  void wake() const {
    const std::uint64_t one = 1;
    const ssize_t written = ::write(wake_up, &one, sizeof one);
    static_cast<void>(written);  // fails only where the counter is full, and then the loop wakes up anyway
  }

  int time_to_wait() {
    if (!tasks_.empty()) {
      return 0;
    }
    if (periodic_.empty()) {
      return -1;
    }
    const auto next = std::min_element(periodic_.begin(), periodic_.end(),
                                       [](const Periodic& a, const Periodic& b) { return a.next < b.next; });
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next->next - now());
    return static_cast<int>(std::max<std::chrono::milliseconds::rep>(0, left.count()));
  }

  void wait() {
    std::array<epoll_event, kEventsPerWait> events;
    asleep_.store(true, std::memory_order_seq_cst);
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), time_to_wait());
    asleep_.store(false, std::memory_order_relaxed);
    TESSERA_CHECK(count >= 0 || errno == EINTR);
    for (int i = 0; i < count; ++i) {
      if (auto* watch = static_cast<Watch::State*>(events[static_cast<std::size_t>(i)].data.ptr)) {
        watch->ready(events[static_cast<std::size_t>(i)].events);
      } else {
        std::uint64_t ignored = 0;
        const ssize_t taken = ::read(wake_up, &ignored, sizeof ignored);
        static_cast<void>(taken);
      }
      end_long_turn();
    }
  }

  void end_long_turn() {
    if (!turn_end_.empty() && now() - turn_end_since_ > kLongTurn) {
      end_turn();
    }
  }

  void end_turn() {
    while (!turn_end_.empty()) {
      ending_.swap(turn_end_);
      for (const auto& watcher : ending_) {
        watcher->turn_ends();
      }
      ending_.clear();
    }
  }

  // Those posted meanwhile are for the next turn, so that descriptors get theirs.
  void run_tasks() {
    if (tasks_.empty()) {
      return;
    }
    for (const auto& task : tasks_.take_all()) {
      if (stop_.load()) {
        break;
      }
      task->run();
    }
  }

  void run_periodic() {
    const TimePoint time = now();
    for (Periodic& entry : periodic_) {
      if (entry.next <= time && !stop_.load()) {
        entry.next = time + entry.period;
        entry.task->run();
      }
    }
  }

  std::atomic<std::thread::id> thread_{};
  std::atomic<bool> stop_{false};
  std::atomic<bool> asleep_{false};
  TaskList tasks_;
  std::vector<std::shared_ptr<Watcher>> turn_end_;
  TimePoint turn_end_since_{};
  std::vector<std::shared_ptr<Watcher>> ending_;  // kept for its memory
  std::vector<Periodic> periodic_;
};

EventLoop::EventLoop() : state_(std::make_shared<State>()) {}
EventLoop::~EventLoop() { state_->close(); }

void EventLoop::run() { state_->run(); }
void EventLoop::stop() { state_->stop(); }
void EventLoop::post(std::shared_ptr<Task> task) { state_->post(std::move(task)); }
void EventLoop::at_turn_end(std::shared_ptr<Watcher> watcher) { state_->at_turn_end(std::move(watcher)); }
void EventLoop::every(std::chrono::milliseconds period, std::shared_ptr<Task> task) {
  state_->every(period, std::move(task));
}
bool EventLoop::in_loop_thread() const { return state_->in_thread(); }

void LoopGate::post(std::shared_ptr<Task> task) const { state_->post(std::move(task)); }
bool LoopGate::in_loop_thread() const { return state_->in_thread(); }

// False: the system has no room for one more, or no memory.
bool Watch::State::set_interest(std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = this;
  const int what = !registered_ ? EPOLL_CTL_ADD : (events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD);
  if (::epoll_ctl(loop.epoll, what, descriptor, &event) != 0) {
    TESSERA_CHECK(errno == ENOSPC || errno == ENOMEM);
    return false;
  }
  registered_ = events != 0;
  interest_ = events;
  return true;
}

void Watch::State::want(std::uint32_t event) {
  if (descriptor >= 0 && (interest_ & event) == 0 && !set_interest(interest_ | event)) {
    // As if the peer had gone: whoever waits reads (or writes), finds the socket shut, and gives up.
    ::shutdown(descriptor, SHUT_RDWR);
    loop.post(std::make_shared<FunctionTask>([self = shared_from_this()] { self->ready(EPOLLHUP); }));
  }
}

// Interest is dropped only where an event finds nobody waiting: who was told waits again before long. A peer that is
// gone (EPOLLHUP, EPOLLERR) is reported whatever the interest, then to whoever waits.
void Watch::State::ready(std::uint32_t events) {
  const auto self = shared_from_this();
  const bool gone = (events & (EPOLLHUP | EPOLLERR)) != 0;
  std::uint32_t unwanted = 0;
  if (gone || (events & EPOLLIN) != 0) {
    if (reader != nullptr) {
      std::exchange(reader, nullptr)->readable();
    } else {
      unwanted |= EPOLLIN;
    }
  }
  if (gone || (events & EPOLLOUT) != 0) {
    if (writer != nullptr) {
      std::exchange(writer, nullptr)->writable();
    } else {
      unwanted |= EPOLLOUT;
    }
  }
  // Being told of the one may have made somebody wait for the other.
  unwanted &= ~((reader != nullptr ? EPOLLIN : 0U) | (writer != nullptr ? EPOLLOUT : 0U));
  if (gone && reader == nullptr && writer == nullptr) {
    unwanted = interest_;
  }
  if (descriptor >= 0 && (interest_ & unwanted) != 0) {
    TESSERA_CHECK(set_interest(interest_ & ~unwanted));  // which needs no memory
  }
}

void Watch::State::close() {
  if (descriptor < 0) {
    return;
  }
  ::close(std::exchange(descriptor, -1));  // which takes it out of epoll, too
  reader = nullptr;
  writer = nullptr;
  loop.closed.push_back(shared_from_this());
}

Watch::Watch(EventLoop& loop, int descriptor) : state_(std::make_shared<State>(*loop.state_, descriptor)) {}
Watch::~Watch() { state_->close(); }

int Watch::descriptor() const { return state_->descriptor; }

void Watch::wait_readable(std::shared_ptr<Watcher> watcher) {
  state_->reader = std::move(watcher);
  state_->want(EPOLLIN);
}

void Watch::wait_writable(std::shared_ptr<Watcher> watcher) {
  state_->writer = std::move(watcher);
  state_->want(EPOLLOUT);
}

void Watch::close() { state_->close(); }

}  // namespace tessera::server::http
