#include "server/grpc/message_deadlines.h"

#include <grpcpp/completion_queue.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <vector>

namespace tessera::server {
namespace {

using std::chrono::milliseconds;

class Waiter final : public MessageWaiter, public std::enable_shared_from_this<Waiter> {
 public:
  void message_late() override { ++told; }
  int told = 0;

 private:
  std::shared_ptr<MessageWaiter> share() override { return shared_from_this(); }
};

// The queue of a server, with this thread as the one that takes its steps.
class Deadlines : public ::testing::Test {
 protected:
  ~Deadlines() override {
    queue.Shutdown();
    while (step()) {
    }
  }

  bool step() {
    void* tag = nullptr;
    bool ok = false;
    if (!queue.Next(&tag, &ok)) return false;
    static_cast<QueueTag*>(tag)->complete(ok);
    return true;
  }

  ::grpc::CompletionQueue queue;
};

TEST_F(Deadlines, WhoseMessageDoesNotComeIsToldOnce) {
  MessageDeadlines deadlines(milliseconds(20));
  deadlines.start(queue);
  const auto waiter = std::make_shared<Waiter>();
  deadlines.await(*waiter);
  while (waiter->told == 0) ASSERT_TRUE(step());
  EXPECT_FALSE(deadlines.forget(*waiter));
  EXPECT_EQ(waiter->told, 1);
}

TEST_F(Deadlines, WhoseMessageCameIsNotTold) {
  MessageDeadlines deadlines(milliseconds(20));
  deadlines.start(queue);
  std::vector<std::shared_ptr<Waiter>> waiters(5);
  for (auto& waiter : waiters) {
    waiter = std::make_shared<Waiter>();
    deadlines.await(*waiter);
  }
  for (const std::size_t i : {0U, 2U, 4U}) EXPECT_TRUE(deadlines.forget(*waiters[i]));
  EXPECT_TRUE(deadlines.forget(*waiters[0]));  // as often as one likes
  while (waiters[1]->told + waiters[3]->told < 2) ASSERT_TRUE(step());
  for (const std::size_t i : {0U, 2U, 4U}) EXPECT_EQ(waiters[i]->told, 0);
}

// The alarm was set for the first, which is gone; the next one is found all the same.
TEST_F(Deadlines, OneAlarmServesAllThatCome) {
  MessageDeadlines deadlines(milliseconds(30));
  deadlines.start(queue);
  for (int i = 0; i < 1000; ++i) {
    const auto answered = std::make_shared<Waiter>();
    deadlines.await(*answered);
    EXPECT_TRUE(deadlines.forget(*answered));
  }
  const auto waiter = std::make_shared<Waiter>();
  deadlines.await(*waiter);
  int steps = 0;
  for (; waiter->told == 0; ++steps) ASSERT_TRUE(step());
  EXPECT_LE(steps, 100);  // not one for each of them
}

TEST_F(Deadlines, StoppingLeavesNothingInTheQueue) {
  MessageDeadlines deadlines(std::chrono::hours(1));
  deadlines.start(queue);
  const auto waiter = std::make_shared<Waiter>();
  deadlines.await(*waiter);
  deadlines.stop();
  ASSERT_TRUE(step());  // the alarm, at once
  EXPECT_EQ(waiter->told, 0);
  EXPECT_TRUE(deadlines.forget(*waiter));
  deadlines.await(*waiter);  // sets no alarm any more
  EXPECT_TRUE(deadlines.forget(*waiter));
}

}  // namespace
}  // namespace tessera::server
