#include "device/fake/fake_device.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tessera::device {
namespace {

using std::chrono::milliseconds;

class Timed : public FakePlan {
 public:
  explicit Timed(Duration latency) : latency_(latency) {}
  std::optional<Duration> latency(const Slice&, const Batch&) const override { return latency_; }

 private:
  Duration latency_;
};

class Notes : public CompletionSink {
 public:
  void completed(const Completion& completion) override { completions.push_back(completion); }
  void device_down(const Error& reason) override { down.push_back(reason.message()); }
  void copied(const CopyEnd& end) override { copies.push_back(end); }
  std::vector<Completion> completions;
  std::vector<CopyEnd> copies;
  std::vector<std::string> down;
};

class FakeDeviceTest : public testing::Test {
 protected:
  FakeDeviceTest() { device_.set_sink(notes_); }

  Result<Started> launch(std::uint64_t id, Slice slice, const Plan& plan) {
    return device_.launch({.id = {id}, .slice = slice, .plan = &plan, .batch = &batch_});
  }

  Notes notes_;
  Batch batch_;
  FakeDevice device_{FakeOptions{}};
};

TEST_F(FakeDeviceTest, RunsFollowOneAnotherInExactTimeHoweverTheClockIsMoved) {
  const Timed three(milliseconds(3));
  const Timed five(milliseconds(5));
  ASSERT_TRUE(launch(1, {0, 1}, three).ok());
  ASSERT_TRUE(launch(2, {0, 2}, five).ok());
  ASSERT_TRUE(launch(3, {2, 2}, five).ok());
  EXPECT_EQ(device_.next_end(), TimePoint(milliseconds(3)));
  device_.advance(milliseconds(100));
  ASSERT_EQ(notes_.completions.size(), 3U);
  EXPECT_EQ(notes_.completions[0].id, LaunchId{1});
  EXPECT_EQ(notes_.completions[1].id, LaunchId{3});
  EXPECT_EQ(notes_.completions[2].id, LaunchId{2});
  EXPECT_EQ(notes_.completions[2].started, TimePoint(milliseconds(3)));
  EXPECT_EQ(notes_.completions[2].ended, TimePoint(milliseconds(8)));
  EXPECT_EQ(device_.time(), TimePoint(milliseconds(100)));
  EXPECT_EQ(device_.next_end(), std::nullopt);
}

TEST_F(FakeDeviceTest, NothingEndsBeforeTheClockMoves) {
  const Timed none(Duration::zero());
  ASSERT_TRUE(launch(1, {0, 1}, none).ok());
  EXPECT_TRUE(notes_.completions.empty());
  device_.advance(Duration::zero());
  EXPECT_EQ(notes_.completions.size(), 1U);
}

TEST_F(FakeDeviceTest, RefusesOneLaunchOnDemand) {
  const Timed one(milliseconds(1));
  device_.refuse_next(Error(ErrorCode::kInternal, "not this one"));
  const auto refused = launch(1, {0, 1}, one);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message(), "not this one");
  ASSERT_TRUE(launch(2, {0, 1}, one).ok());
  device_.advance(milliseconds(1));
  ASSERT_EQ(notes_.completions.size(), 1U);
  EXPECT_EQ(notes_.completions[0].id, LaunchId{2});
}

TEST_F(FakeDeviceTest, BreaksDownOnDemand) {
  const Timed one(milliseconds(1));
  ASSERT_TRUE(launch(1, {0, 1}, one).ok());
  ASSERT_TRUE(launch(2, {0, 1}, one).ok());
  device_.break_down(Error(ErrorCode::kDeviceLost, "pulled out"));
  device_.break_down(Error(ErrorCode::kDeviceLost, "again"));
  ASSERT_EQ(notes_.completions.size(), 2U);
  EXPECT_TRUE(notes_.completions[0].ran);
  EXPECT_FALSE(notes_.completions[1].ran);
  ASSERT_EQ(notes_.down.size(), 1U);
  EXPECT_EQ(notes_.down[0], "device fake is lost: pulled out");
  EXPECT_EQ(launch(3, {0, 1}, one).error().code(), ErrorCode::kDeviceLost);
}

TEST_F(FakeDeviceTest, TheSinkMayLaunchAgain) {
  class Chain : public Notes {
   public:
    void completed(const Completion& completion) override {
      Notes::completed(completion);
      if (completions.size() < 5) {
        EXPECT_TRUE(again());
      }
    }
    std::function<bool()> again;
  } chain;
  const Timed one(milliseconds(1));
  std::uint64_t id = 1;
  chain.again = [&] { return launch(++id, {0, 1}, one).ok(); };
  device_.set_sink(chain);
  ASSERT_TRUE(launch(id, {0, 1}, one).ok());
  for (int i = 0; i < 5; ++i) {
    device_.advance(milliseconds(1));
  }
  EXPECT_EQ(chain.completions.size(), 5U);
}

TEST(FakeDeviceCopies, FollowOneAnotherInExactTimeAndLaunchesWaitForThoseTheyName) {
  Notes notes;
  FakeDevice device({.copies = 2, .copy_time = [](Bytes bytes) { return milliseconds(bytes.value); }});
  device.set_sink(notes);
  EXPECT_EQ(device.shape().copies, 2);
  Batch batch;
  const Timed one(milliseconds(1));
  const std::vector<std::byte> bytes(5);
  ASSERT_TRUE(device.copy({.id = {1}, .bytes = std::span(bytes).first(2)}).ok());
  ASSERT_TRUE(device.copy({.id = {2}, .bytes = bytes}).ok());
  const auto launch = [&](std::uint64_t id, Slice slice, CopyId after) {
    ASSERT_TRUE(device.launch({.id = {id}, .slice = slice, .plan = &one, .batch = &batch, .after_copy = after}).ok());
  };
  launch(1, {0, 1}, {});
  launch(2, {1, 1}, {1});
  launch(3, {2, 1}, {2});
  EXPECT_EQ(device.next_end(), TimePoint(milliseconds(1)));
  device.advance(milliseconds(100));
  ASSERT_EQ(notes.copies.size(), 2U);
  EXPECT_EQ(notes.copies[0].ended, TimePoint(milliseconds(2)));
  EXPECT_EQ(notes.copies[1].ended, TimePoint(milliseconds(7)));
  ASSERT_EQ(notes.completions.size(), 3U);
  EXPECT_EQ(notes.completions[0].ended, TimePoint(milliseconds(1)));
  EXPECT_EQ(notes.completions[1].started, TimePoint(milliseconds(2)));
  EXPECT_EQ(notes.completions[2].started, TimePoint(milliseconds(7)));
}

TEST(FakeDeviceCopies, BreakingDownEndsThemWithAnError) {
  Notes notes;
  FakeDevice device({.copies = 2});
  device.set_sink(notes);
  const std::vector<std::byte> bytes(5);
  device.refuse_next(Error(ErrorCode::kInternal, "not this one"));
  EXPECT_FALSE(device.copy({.id = {1}, .bytes = bytes}).ok());
  ASSERT_TRUE(device.copy({.id = {2}, .bytes = bytes}).ok());
  device.break_down(Error(ErrorCode::kDeviceLost, "pulled out"));
  ASSERT_EQ(notes.copies.size(), 1U);
  EXPECT_EQ(notes.copies[0].status.error().code(), ErrorCode::kDeviceLost);
  EXPECT_EQ(notes.down.size(), 1U);
  EXPECT_EQ(device.copy({.id = {3}, .bytes = bytes}).error().code(), ErrorCode::kDeviceLost);
}

}  // namespace
}  // namespace tessera::device
