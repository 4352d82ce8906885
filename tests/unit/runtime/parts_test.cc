// The small parts that threads share: pools, inbox, published values, shapes, plans, timer, quotas.
#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "runtime/body_memory.h"
#include "runtime/inbox.h"
#include "runtime/plan_table.h"
#include "runtime/published.h"
#include "runtime/shape_table.h"
#include "runtime/slot_pool.h"
#include "runtime/timer.h"
#include "support.h"

namespace tessera::runtime::test {
namespace {

struct Item : PoolSlot {
  std::atomic<int> owner{0};
};

TEST(SlotPool, GivesEachObjectToOneAtATime) {
  SlotPool<Item> pool(256);
  std::atomic<bool> clash{false};
  std::vector<std::thread> threads;
  for (int thread = 1; thread <= 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 20000; ++i) {
        Item* a = pool.take();
        Item* b = pool.take();
        if (a == nullptr || b == nullptr) {
          clash = true;
          return;
        }
        for (Item* item : {a, b}) {
          clash = clash || item->owner.exchange(thread) != 0;
        }
        for (Item* item : {a, b}) {
          clash = clash || item->owner.exchange(0) != thread;
          pool.give(*item);
        }
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_FALSE(clash);
}

TEST(SlotPool, EndsAtItsLimitAndFindsByNumber) {
  SlotPool<Item> pool(100);
  std::set<Item*> taken;
  while (Item* item = pool.take()) {
    EXPECT_TRUE(taken.insert(item).second);
    EXPECT_EQ(pool.at(item->index), item);
  }
  EXPECT_EQ(taken.size(), 128U);  // whole chunks
  EXPECT_EQ(pool.at(128), nullptr);
  pool.give(**taken.begin());
  EXPECT_EQ(pool.take(), *taken.begin());
}

TEST(Inbox, TakesAllInTheOrderOfEachPoster) {
  constexpr int kEach = 5000;
  Inbox inbox;
  struct Numbered : Message {
    int poster = 0;
    int number = 0;
  };
  std::vector<std::vector<Numbered>> messages(3, std::vector<Numbered>(kEach));
  std::vector<std::thread> threads;
  for (int poster = 0; poster < 3; ++poster) {
    threads.emplace_back([&, poster] {
      for (int i = 0; i < kEach; ++i) {
        Numbered& message = messages[static_cast<std::size_t>(poster)][static_cast<std::size_t>(i)];
        message.poster = poster;
        message.number = i;
        inbox.push(message);
      }
    });
  }
  int next[3] = {0, 0, 0};
  for (int seen = 0; seen < 3 * kEach;) {
    for (Message* message = inbox.take_all(); message != nullptr; ++seen) {
      const auto* numbered = static_cast<Numbered*>(message);
      message = message->next;
      ASSERT_EQ(numbered->number, next[numbered->poster]++);
    }
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_TRUE(inbox.empty());
}

TEST(Published, NobodyReadsWhatIsGone) {
  struct Value {
    explicit Value(int n) : number(n), alive(true) {}
    ~Value() { alive = false; }
    int number;
    bool alive;
  };
  Published<Value> published(std::make_unique<Value>(0));
  std::atomic<bool> stop{false};
  std::atomic<bool> wrong{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      int last = 0;
      while (!stop) {
        const auto value = published.read();
        wrong = wrong || !value->alive || value->number < last;
        last = value->number;
      }
    });
  }
  for (int i = 1; i <= 200; ++i) {
    published.replace(std::make_unique<Value>(i));
  }
  stop = true;
  for (auto& reader : readers) {
    reader.join();
  }
  EXPECT_FALSE(wrong);
  EXPECT_EQ(published.read()->number, 200);
}

TEST(ShapeTable, EqualDimensionsHaveEqualIdsOnAllThreads) {
  ShapeTable table;
  std::vector<std::vector<ShapeId>> ids(4);
  std::vector<std::thread> threads;
  for (auto& mine : ids) {
    threads.emplace_back([&] {
      for (std::int64_t i = 0; i < 100; ++i) {
        const std::int64_t dims[] = {2, i, 3};
        mine.push_back(table.intern(dims));
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(ids[0], ids[1]);
  EXPECT_EQ(ids[0], ids[2]);
  EXPECT_EQ(ids[0], ids[3]);
  std::sort(ids[0].begin(), ids[0].end());
  EXPECT_EQ(std::unique(ids[0].begin(), ids[0].end()), ids[0].end());
}

TEST(ShapeTable, WhenFullFurtherShapesAreAlone) {
  ShapeTable table;
  const std::int64_t known[] = {1, 0};
  const ShapeId first = table.intern(known);
  for (std::int64_t i = 1; i < 1000; ++i) {
    const std::int64_t dims[] = {1, i};
    static_cast<void>(table.intern(dims));
  }
  EXPECT_EQ(table.intern(known), first);
  const std::int64_t late[] = {1, 999};
  EXPECT_NE(table.intern(late), table.intern(late));
}

TEST(PlanTable, FindsByBucketAndLaneOrByTheSliceAlone) {
  DeviceShape device;
  device.processors = {1, 1};
  device.ladder = aligned_ladder(2);
  const FunctionPlan a(add_sub_plan());
  const FunctionPlan b(add_sub_plan());
  PlanTable exact(device, {1, 2, 8}, 2, false);
  exact.set({0, 1}, 2, {1}, &a);
  exact.set({0, 2}, 2, {1}, &b);
  EXPECT_EQ(exact.find({0, 1}, 2, {1}), &a);
  EXPECT_EQ(exact.find({0, 2}, 2, {1}), &b);
  EXPECT_EQ(exact.find({1, 1}, 2, {1}), nullptr);
  EXPECT_EQ(exact.find({0, 1}, 8, {1}), nullptr);
  EXPECT_EQ(exact.find({0, 1}, 2, {0}), nullptr);
  EXPECT_EQ(exact.find({0, 1}, 3, {0}), nullptr);
  EXPECT_EQ(exact.find({0, 9}, 2, {0}), nullptr);
  PlanTable one(device, {1, 2, 8}, 2, true);
  one.set({1, 1}, 1, {0}, &a);
  EXPECT_EQ(one.find({1, 1}, 8, {1}), &a);
  EXPECT_EQ(one.find({0, 1}, 8, {1}), nullptr);
}

TEST(Timer, FiresOnceForTheLastMomentSet) {
  std::atomic<int> fired{0};
  Timer timer([&] { ++fired; });
  timer.set(now() + std::chrono::hours(1));
  timer.set(now() + milliseconds(5));
  while (fired == 0) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  timer.set(now() + std::chrono::hours(1));
  timer.set(kNever);
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(fired, 1);
  timer.set(now() - milliseconds(1));
  while (fired == 1) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(fired, 2);
}

TEST(Timer, NeverFiresEarly) {
  std::atomic<std::int64_t> moment{0};
  std::atomic<int> fired{0};
  std::atomic<bool> early{false};
  Timer timer([&] {
    early = early || now().time_since_epoch().count() < moment.load();
    ++fired;
  });
  for (int i = 0; i < 100; ++i) {
    const TimePoint at = now() + microseconds(i % 7 * 100);
    moment = at.time_since_epoch().count();
    timer.set(at);
    while (fired == i) {
      std::this_thread::sleep_for(microseconds(50));
    }
  }
  EXPECT_FALSE(early);
}

TEST(Timer, WakeFiresAtOnce) {
  std::atomic<int> fired{0};
  Timer timer([&] { ++fired; });
  timer.wake();
  while (fired == 0) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(fired, 1);
}

TEST(BodyMemory, IsChargedByWhatArrivedAndGivenBack) {
  HeapStaging pool;
  const auto quota = std::make_shared<ByteQuota>(Bytes{1000});
  auto first = lease_body(pool, quota, "m", {800});
  auto second = lease_body(pool, quota, "m", {800});  // announced lengths are not charged
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ((*first)->bytes().size(), 800U);
  EXPECT_TRUE((*first)->charge({700}).ok());
  EXPECT_TRUE((*first)->charge({800}).ok());
  EXPECT_TRUE((*second)->charge({200}).ok());
  const Status over = (*second)->charge({201});
  ASSERT_FALSE(over.ok());
  EXPECT_EQ(over.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(quota->used(), Bytes{1000});
  first.value().reset();
  EXPECT_TRUE((*second)->charge({201}).ok());
  second.value().reset();
  EXPECT_EQ(quota->used(), Bytes{0});
}

TEST(BodyMemory, OfNoBytesNeedsNoBlockAndAPoolsRefusalIsPassedOn) {
  HeapStaging pool;
  const auto quota = std::make_shared<ByteQuota>(Bytes{1000});
  auto empty = lease_body(pool, quota, "m", {0});
  ASSERT_TRUE(empty.ok());
  EXPECT_TRUE((*empty)->bytes().empty());
  const auto large = lease_body(pool, quota, "m", {std::uint64_t{1} << 40});
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code(), ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace tessera::runtime::test
