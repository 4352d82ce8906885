// The thread that homes plans: what is asked for, what is let go of, and what goes away meanwhile.
#include "runtime/homing.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <string>
#include <vector>

#include "support.h"

namespace tessera::runtime::test {
namespace {

std::string text_of(std::int32_t bucket, LaneIndex lane, const Slice& slice) {
  return std::to_string(bucket) + "." + std::to_string(lane.value) + "@" + std::to_string(slice.first) + "+" +
         std::to_string(slice.count);
}

// What was done, in order; homing stops where a gate is closed. Thread-safe.
class Log {
 public:
  void note(std::string line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }
  Lines wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(10), [&] { return lines_.size() >= count; }));
    return lines_;
  }
  void close_gate() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void open_gate() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass_gate() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Lines lines_;
  bool open_ = true;
};

// Cannot be homed in slices of three atoms; fails in such of two.
class CheapModel final : public engine::LoadedModel {
 public:
  CheapModel(std::string name, Log& log) : name_(std::move(name)), log_(log) {}
  const engine::FileSignature& signature() const override { return signature_; }
  engine::MemoryUse memory() const override { return {}; }
  Result<const device::Plan*> prepare_home(std::int32_t, LaneIndex, const Slice&) override {
    return internal_error("the homing thread makes nothing heavy");
  }
  bool one_plan_per_slice() const override { return false; }
  bool homes_cheaply() const override { return true; }
  Result<const device::Plan*> home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override {
    log_.note(name_ + " home " + text_of(bucket, lane, slice));
    log_.pass_gate();
    if (slice.count == 3) {
      return unsupported("no room for a cluster");
    }
    if (slice.count == 2) {
      return Error(ErrorCode::kResourceExhausted, "out of memory");
    }
    return &plan_;
  }
  void drop_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override {
    log_.note(name_ + " drop " + text_of(bucket, lane, slice));
  }

 private:
  const std::string name_;
  Log& log_;
  engine::FileSignature signature_;
  FunctionPlan plan_{add_sub_plan()};
};

class HomingTest : public testing::Test {
 protected:
  HomingTest() {
    shape_.name = "test";
    shape_.processors.assign(4, 1);
    shape_.ladder = aligned_ladder(4);
    shape_.loader = loader_slice(4);
  }
  ~HomingTest() override { log_.open_gate(); }

  std::shared_ptr<ServedInstance> add(std::uint32_t id, const std::string& name) {
    auto instance = std::make_shared<model::Instance>(model::Instance{});
    instance->id = {id};
    instance->name = name;
    instance->config.params.buckets = {1, 2};
    instance->config.params.lanes = 2;
    instance->engine_model = std::make_unique<CheapModel>(name, log_);
    auto served = std::make_shared<ServedInstance>(std::move(instance), shape_);
    homing_.add(served);
    return served;
  }
  static sched::PrepareHome wish(std::uint32_t id, const Slice& slice, std::int32_t bucket = 1) {
    return {{id}, bucket, {0}, slice};
  }
  static sched::DropHome farewell(std::uint32_t id, const Slice& slice) { return {{id}, 1, {0}, slice}; }

  DeviceShape shape_;
  Log log_;
  std::atomic<bool> down_{false};
  Homing homing_{"test",
                 {.ready =
                      [this](const sched::SliceReady& ready) {
                        log_.note("ready " + text_of(*ready.bucket, *ready.lane, ready.slice));
                      },
                  .failed =
                      [this](const sched::HomeFailed& failed) {
                        log_.note("failed " + text_of(failed.bucket, failed.lane, failed.slice) +
                                  (failed.for_good ? " for good" : ""));
                      },
                  .device_is_down = [this] { return down_.load(); }}};
};

TEST_F(HomingTest, WhatIsHomedIsInTheTableBeforeItIsReported) {
  const auto served = add(1, "m");
  EXPECT_TRUE(homing_.prepare(wish(1, {0, 1}, 2)));
  EXPECT_EQ(log_.wait(2), (Lines{"m home 2.0@0+1", "ready 2.0@0+1"}));
  EXPECT_NE(served->plans.find({0, 1}, 2, {0}), nullptr);
  EXPECT_EQ(served->plans.find({0, 1}, 1, {0}), nullptr);
  EXPECT_EQ(served->plans.find({0, 1}, 2, {1}), nullptr);
}

TEST_F(HomingTest, AFailureSaysWhetherToAskAgain) {
  add(1, "m");
  EXPECT_TRUE(homing_.prepare(wish(1, {0, 2})));
  EXPECT_TRUE(homing_.prepare(wish(1, {0, 3})));
  EXPECT_EQ(log_.wait(4), (Lines{"m home 1.0@0+2", "failed 1.0@0+2", "m home 1.0@0+3", "failed 1.0@0+3 for good"}));
}

TEST_F(HomingTest, WhatIsDroppedMayBeAskedForAgainBehind) {
  add(1, "m");
  log_.close_gate();
  EXPECT_TRUE(homing_.prepare(wish(1, {1, 1})));
  log_.wait(1);
  homing_.drop(farewell(1, {0, 1}));
  EXPECT_TRUE(homing_.prepare(wish(1, {0, 1})));
  log_.open_gate();
  EXPECT_EQ(log_.wait(5),
            (Lines{"m home 1.0@1+1", "ready 1.0@1+1", "m drop 1.0@0+1", "m home 1.0@0+1", "ready 1.0@0+1"}));
}

TEST_F(HomingTest, AModelThatGoesIsNotHomedAnyMore) {
  auto leaving = add(1, "leaving");
  add(2, "staying");
  log_.close_gate();
  EXPECT_TRUE(homing_.prepare(wish(1, {0, 1})));
  log_.wait(1);
  EXPECT_TRUE(homing_.prepare(wish(1, {1, 1})));
  EXPECT_TRUE(homing_.prepare(wish(2, {1, 1})));
  std::atomic<bool> gone{false};
  std::thread loader([&] {
    homing_.remove({1});
    gone = true;
  });
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_FALSE(gone) << "it is being homed";
  log_.open_gate();
  loader.join();
  EXPECT_EQ(log_.wait(4), (Lines{"leaving home 1.0@0+1", "ready 1.0@0+1", "staying home 1.0@1+1", "ready 1.0@1+1"}));
  EXPECT_FALSE(homing_.prepare(wish(1, {2, 1}))) << "it is unknown by now";
  homing_.drop(farewell(1, {0, 1}));
  std::weak_ptr<ServedInstance> left = leaving;
  leaving.reset();
  EXPECT_TRUE(left.expired());
}

TEST_F(HomingTest, TheQueueIsBounded) {
  add(1, "m");
  log_.close_gate();
  EXPECT_TRUE(homing_.prepare(wish(1, {0, 1})));
  log_.wait(1);
  for (std::size_t i = 0; i < Homing::kMaxAsked; ++i) {
    ASSERT_TRUE(homing_.prepare(wish(1, {1, 1})));
  }
  EXPECT_FALSE(homing_.prepare(wish(1, {2, 1})));
  log_.open_gate();
  homing_.stop();
  EXPECT_FALSE(homing_.prepare(wish(1, {2, 1})));
  homing_.remove({1});
}

TEST_F(HomingTest, NothingIsHomedOnADeviceThatIsLost) {
  add(1, "m");
  down_ = true;
  EXPECT_TRUE(homing_.prepare(wish(1, {0, 1})));
  EXPECT_EQ(log_.wait(1), (Lines{"failed 1.0@0+1"}));
}

}  // namespace
}  // namespace tessera::runtime::test
