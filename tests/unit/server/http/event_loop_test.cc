#include "server/http/event_loop.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <thread>
#include <vector>

namespace tessera::server::http {
namespace {

using std::chrono::seconds;

class FakeWatcher final : public Watcher {
 public:
  void readable() override { on_readable(); }
  void writable() override { on_writable(); }
  std::function<void()> on_readable;
  std::function<void()> on_writable;
};

// A loop in a thread of its own, and a pair of sockets of which it watches one.
class EventLoopTest : public testing::Test {
 protected:
  EventLoopTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    watch_ = std::make_unique<Watch>(loop_, ends[0]);
    peer_ = ends[1];
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~EventLoopTest() override {
    in_loop([this] { watch_.reset(); });
    loop_.stop();
    thread_.join();
    if (peer_ >= 0) {
      ::close(peer_);
    }
  }

  void in_loop(std::function<void()> what) {
    std::promise<void> done;
    loop_.post(std::make_shared<FunctionTask>([&] {
      what();
      done.set_value();
    }));
    done.get_future().wait();
  }
  void send(char byte) { EXPECT_EQ(::send(peer_, &byte, 1, 0), 1); }
  char receive() {
    char byte = 0;
    return ::recv(watch_->descriptor(), &byte, 1, MSG_DONTWAIT) == 1 ? byte : '\0';
  }

  EventLoop loop_;
  std::unique_ptr<Watch> watch_;
  int peer_ = -1;
  std::thread thread_;
  std::shared_ptr<FakeWatcher> watcher_ = std::make_shared<FakeWatcher>();
};

TEST_F(EventLoopTest, TellsOnceForEachWait) {
  std::atomic<int> told{0};
  std::promise<void> second;
  watcher_->on_readable = [&] {
    if (++told == 2) {
      second.set_value();
    }
  };
  in_loop([&] { watch_->wait_readable(watcher_); });
  send('a');
  while (told.load() == 0) {
    std::this_thread::yield();
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(told.load(), 1);  // though the byte is still there
  in_loop([&] { watch_->wait_readable(watcher_); });
  EXPECT_EQ(second.get_future().wait_for(seconds(10)), std::future_status::ready);
}

// As a connection whose client sends its next request while the last answer is still being taken.
TEST_F(EventLoopTest, WhoWaitsFromWithinTheOtherEventIsTold) {
  std::promise<char> got;
  int reads = 0;
  watcher_->on_readable = [&] {
    if (++reads == 1) {
      watch_->wait_writable(watcher_);  // what came stays unread: both are ready next time
    } else {
      got.set_value(receive());
    }
  };
  watcher_->on_writable = [&] { watch_->wait_readable(watcher_); };
  send('x');
  in_loop([&] { watch_->wait_readable(watcher_); });
  auto answer = got.get_future();
  ASSERT_EQ(answer.wait_for(seconds(10)), std::future_status::ready);
  EXPECT_EQ(answer.get(), 'x');
}

TEST_F(EventLoopTest, TellsOfAPeerThatIsGoneAndThenRests) {
  std::promise<void> told;
  watcher_->on_readable = [&] { told.set_value(); };
  in_loop([&] { watch_->wait_readable(watcher_); });
  ::close(std::exchange(peer_, -1));
  EXPECT_EQ(told.get_future().wait_for(seconds(10)), std::future_status::ready);
}

TEST_F(EventLoopTest, RunsWhatManyThreadsPostInEachOnesOrder) {
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  std::vector<int> last(kThreads, -1);
  std::atomic<bool> in_order{true};
  std::vector<std::thread> posters;
  for (int t = 0; t < kThreads; ++t) {
    posters.emplace_back([&, t] {
      const LoopGate gate(loop_);
      for (int i = 0; i < kEach; ++i) {
        gate.post(std::make_shared<FunctionTask>([&, t, i] {
          in_order = in_order && last[static_cast<std::size_t>(t)] == i - 1;
          last[static_cast<std::size_t>(t)] = i;
        }));
        if (i % 100 == 0) {
          std::this_thread::sleep_for(std::chrono::microseconds(200));  // so that the loop sleeps in between
        }
      }
    });
  }
  for (auto& poster : posters) {
    poster.join();
  }
  in_loop([] {});
  EXPECT_TRUE(in_order.load());
  EXPECT_EQ(last, std::vector<int>(kThreads, kEach - 1));
}

TEST(LoopGate, DropsWhatComesAfterTheLoop) {
  auto loop = std::make_unique<EventLoop>();
  const LoopGate gate(*loop);
  loop.reset();
  auto task = std::make_shared<FunctionTask>([] {});
  const std::weak_ptr<FunctionTask> gone = task;
  gate.post(std::move(task));
  EXPECT_TRUE(gone.expired());
}

}  // namespace
}  // namespace tessera::server::http
