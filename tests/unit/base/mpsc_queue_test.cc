#include "base/mpsc_queue.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace tessera {
namespace {

TEST(MpscQueue, GivesValuesInOrderAndSaysFullAndEmpty) {
  MpscQueue<int> queue(4);
  EXPECT_EQ(queue.capacity(), 4U);
  for (int round = 0; round < 5; ++round) {
    EXPECT_TRUE(queue.empty());
    EXPECT_FALSE(queue.try_pop().has_value());
    for (int i = 0; i < 4; ++i) {
      EXPECT_TRUE(queue.try_push(i));
    }
    EXPECT_FALSE(queue.try_push(4));
    EXPECT_FALSE(queue.empty());
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(queue.try_pop(), i);
    }
  }
}

TEST(MpscQueue, HoldsNothingAfterPopAndLeavesAValueThatDidNotFit) {
  MpscQueue<std::shared_ptr<int>> queue(2);
  auto first = std::make_shared<int>(1);
  auto second = std::make_shared<int>(2);
  ASSERT_TRUE(queue.try_push(first));
  ASSERT_TRUE(queue.try_push(nullptr));
  EXPECT_FALSE(queue.try_push(std::move(second)));
  EXPECT_NE(second, nullptr);  // NOLINT(bugprone-use-after-move): that is what is tested
  EXPECT_EQ(first.use_count(), 2);
  EXPECT_EQ(*queue.try_pop(), first);
  EXPECT_EQ(first.use_count(), 1);
}

TEST(MpscQueue, DestroysWhatWasLeft) {
  auto value = std::make_shared<int>(1);
  {
    MpscQueue<std::shared_ptr<int>> queue(8);
    ASSERT_TRUE(queue.try_push(value));
  }
  EXPECT_EQ(value.use_count(), 1);
}

TEST(MpscQueueDeathTest, CapacityIsAPowerOfTwoAboveOne) {
  EXPECT_DEATH(MpscQueue<int>(12), "has_single_bit");
  EXPECT_DEATH(MpscQueue<int>(1), "capacity >= 2");
}

TEST(MpscQueue, ManyPushersLoseAndDuplicateNothing) {
  struct Item {
    std::uint32_t pusher = 0;
    std::uint32_t number = 0;
  };
  constexpr std::uint32_t kPushers = 4;
  constexpr std::uint32_t kEach = 20'000;
  MpscQueue<Item> queue(64);
  std::vector<std::thread> pushers;
  for (std::uint32_t p = 0; p < kPushers; ++p) {
    pushers.emplace_back([&queue, p] {
      for (std::uint32_t n = 0; n < kEach; ++n) {
        while (!queue.try_push(Item{p, n})) {
          std::this_thread::yield();
        }
      }
    });
  }
  std::vector<std::uint32_t> next(kPushers, 0);
  for (std::uint32_t taken = 0; taken < kPushers * kEach;) {
    const auto item = queue.try_pop();
    if (!item) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_LT(item->pusher, kPushers);
    ASSERT_EQ(item->number, next[item->pusher]++) << "pusher " << item->pusher;
    ++taken;
  }
  for (auto& pusher : pushers) {
    pusher.join();
  }
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace tessera
