// Copies of inputs ahead of launches, on devices that make them.
#include <algorithm>
#include <map>

#include "tests/contract/device/device_contract.h"

namespace tessera::device::contract {
namespace {

constexpr std::size_t kInput = 600 << 10;
constexpr std::size_t kLarge = 4 << 20;

bool ended(const std::vector<CopyEnd>& ends, CopyId id) {
  return std::any_of(ends.begin(), ends.end(), [id](const CopyEnd& end) { return end.id == id; });
}

#define SKIP_WITHOUT_COPIES()                                    \
  if (device().shape().copies == 0) {                            \
    GTEST_SKIP() << "this device reads requests where they lie"; \
  }

TEST_P(DeviceContract, CopiesEndOnceInTheOrderGiven) {
  SKIP_WITHOUT_COPIES();
  constexpr std::size_t kCopies = 20;
  const std::size_t at_once = device().shape().copies;
  for (std::size_t i = 0; i < kCopies; ++i) {
    ASSERT_TRUE(wait_until([&] { return i - copy_ends_.size() < at_once; }, "a copy's end"));
    copy(i % 3 == 0 ? kLarge : kInput);
  }
  ASSERT_TRUE(wait_until([&] { return copy_ends_.size() >= kCopies; }, "all copies' ends"));
  settle();
  ASSERT_EQ(copy_ends_.size(), kCopies);
  for (std::size_t i = 0; i < kCopies; ++i) {
    EXPECT_EQ(copy_ends_[i].id.value, i + 1);
    EXPECT_TRUE(copy_ends_[i].status.ok());
    EXPECT_TRUE(i == 0 || copy_ends_[i - 1].ended <= copy_ends_[i].ended);
  }
}

TEST_P(DeviceContract, ALaunchWaitsForTheCopyThatItNames) {
  SKIP_WITHOUT_COPIES();
  Probe& plain = probe();
  for (int round = 0; round < 10; ++round) {
    const CopyId id = copy(round % 2 == 0 ? kLarge : kInput);
    // May be queued at once, however long the copy takes.
    Job& job = start(plain, atom(static_cast<std::uint16_t>(round % atoms())), {.after_copy = id});
    ASSERT_TRUE(wait_until(
        [&] {
          EXPECT_TRUE(!done(job) || ended(copy_ends_, id)) << "a launch ended before the copy that it waits for";
          return done(job);
        },
        "completion of a launch"));
    expect_answered(job);
    const auto end = std::find_if(copy_ends_.begin(), copy_ends_.end(), [id](const auto& one) { return one.id == id; });
    ASSERT_NE(end, copy_ends_.end());
    EXPECT_GE(completion(job).started, end->ended) << "waiting for the copy counted as running";
  }
}

TEST_P(DeviceContract, ACopyThatEndedLongAgoHoldsNobodyUp) {
  SKIP_WITHOUT_COPIES();
  const CopyId id = copy(kInput);
  ASSERT_TRUE(wait_until([&] { return ended(copy_ends_, id); }, "a copy's end"));
  Job& job = start(probe(), whole(), {.after_copy = id});
  ASSERT_TRUE(wait_for(job));
  expect_answered(job);
}

TEST_P(DeviceContract, CopiesGoOnBesideARunThatTakesLong) {
  SKIP_WITHOUT_COPIES();
  Gate& hold = gate();
  start(probe({.gate = &hold}), whole());
  for (int i = 0; i < 4; ++i) {
    const CopyId id = copy(kInput);
    ASSERT_TRUE(wait_until([&] { return ended(copy_ends_, id); }, "a copy's end"));
  }
  hold.open();
  ASSERT_TRUE(wait_for_all());
}

TEST_P(DeviceContract, AProcessorFaultEndsCopiesBeforeTheDevice) {
  SKIP_WITHOUT_COPIES();
  Gate& trigger = gate();
  start(probe({.gate = &trigger, .outcome = Outcome::kFault}), whole());
  ASSERT_TRUE(wait_until([&] { return trigger.reached() == 1; }, "it runs"));
  const CopyId id = copy(kLarge);
  Job& behind = start(probe(), whole(), {.after_copy = id});
  trigger.open();
  ASSERT_TRUE(wait_for_all());
  ASSERT_TRUE(wait_until([&] { return !downs_.empty(); }, "device_down"));  // pump() fails on an end after it
  EXPECT_TRUE(has_code(behind, ErrorCode::kDeviceLost));
  ASSERT_EQ(copy_ends_.size(), 1U);
  const Status late = device().copy({.id = {99}, .bytes = blocks_.front()->bytes()});
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code(), ErrorCode::kDeviceLost);
  settle();
  EXPECT_EQ(downs_.size(), 1U);
}

TEST_P(DeviceContract, DestructionEndsCopies) {
  SKIP_WITHOUT_COPIES();
  for (std::uint16_t i = 0; i < device().shape().copies; ++i) {
    copy(kLarge);
  }
  start(probe(), whole(), {.after_copy = {last_copy_}});
  under_test().destroy_device();
  std::map<std::uint64_t, int> ends;
  std::size_t completions = 0;
  for (auto& report : inbox_.take()) {
    if (const auto* end = std::get_if<CopyEnd>(&report)) {
      ++ends[end->id.value];
    } else {
      EXPECT_TRUE(std::holds_alternative<Completion>(report)) << "closing is no fault";
      ++completions;
    }
  }
  EXPECT_EQ(completions, 1U);
  EXPECT_EQ(ends.size(), last_copy_);
  for (const auto& [id, times] : ends) {
    EXPECT_EQ(times, 1) << id;
  }
}

}  // namespace
}  // namespace tessera::device::contract
