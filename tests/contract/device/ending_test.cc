// How launches on any device end: once each, with their own error and nobody else's.
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "tests/contract/device/device_contract.h"

namespace tessera::device::contract {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST_P(DeviceContract, EveryAcceptedLaunchCompletesExactlyOnce) {
  const auto& ladder = device().shape().ladder;
  Probe& quick = probe({.busy = microseconds(20)});
  for (std::size_t i = 0; i < 100; ++i) {
    start(quick, ladder[i % ladder.size()]);
    pump();
  }
  ASSERT_TRUE(wait_for_all());
  settle();  // a second completion would be noticed by pump()
  EXPECT_EQ(completions_.size(), 100U);
  EXPECT_EQ(quick.runs().size(), 100U);
  for (const Job& job : jobs_) {
    expect_answered(job);
  }
  EXPECT_TRUE(downs_.empty());
}

TEST_P(DeviceContract, CancellingWhatIsNotCommittedDropsIt) {
  Gate& hold = gate();
  start(probe({.gate = &hold}), atom(0));
  const Job& dropped = start(probe(), atom(0));
  Job& behind = start(probe(), atom(0));
  ASSERT_TRUE(wait_until([&] { return hold.reached() == 1; }, "the first runs"));
  device().cancel(dropped.id);
  if (!under_test().commits_at_launch()) {
    ASSERT_TRUE(wait_for(dropped));
    EXPECT_FALSE(completion(dropped).ran);
  }
  settle();
  EXPECT_TRUE(behind.probe->runs().empty()) << "it must still wait for the first";
  hold.open();
  ASSERT_TRUE(wait_for_all());
  EXPECT_TRUE(has_code(dropped, ErrorCode::kCancelled));
  EXPECT_EQ(completion(dropped).ran, under_test().commits_at_launch());
  EXPECT_EQ(dropped.probe->runs().size(), completion(dropped).ran ? 1U : 0U);
  expect_answered(behind);
}

TEST_P(DeviceContract, CancellingWhatRunsDiscardsItsResult) {
  Gate& hold = gate();
  const Job& running = start(probe({.gate = &hold}), atom(0));
  Job& behind = start(probe(), atom(0));
  ASSERT_TRUE(wait_until([&] { return hold.reached() == 1; }, "it runs"));
  device().cancel(running.id);
  settle();
  EXPECT_FALSE(done(running)) << "it occupies its slice to its end";
  hold.open();
  ASSERT_TRUE(wait_for_all());
  EXPECT_TRUE(has_code(running, ErrorCode::kCancelled));
  EXPECT_TRUE(completion(running).ran);
  EXPECT_TRUE(running.batch.outputs.empty());
  EXPECT_EQ(running.batch.output_memory, nullptr);
  EXPECT_EQ(running.probe->runs().size(), 1U);
  expect_answered(behind);
}

TEST_P(DeviceContract, CancellingWhatIsUnknownOrEndedDoesNothing) {
  device().cancel(LaunchId{12345});
  Job& job = start(probe(), atom(0));
  ASSERT_TRUE(wait_for(job));
  device().cancel(job.id);
  settle();
  expect_answered(job);
  EXPECT_EQ(completions_.size(), 1U);
}

TEST_P(DeviceContract, ARefusedLaunchLeavesTheOthers) {
  Gate& hold = gate();
  Job& running = start(probe({.gate = &hold}), atom(0));
  const Slice past_the_end{static_cast<std::uint16_t>(atoms()), 1};
  for (const Slice& slice : {Slice{0, 0}, past_the_end, Slice{0, static_cast<std::uint16_t>(atoms() + 1)}}) {
    Job& refused = make_job(probe(), slice, {});
    const auto started = try_start(refused, {});
    ASSERT_FALSE(started.ok());
    EXPECT_EQ(started.error().code(), ErrorCode::kInvalidArgument);
  }
  const Launch without_plan{.id = LaunchId{++last_id_}, .slice = atom(0), .batch = &running.batch};
  EXPECT_FALSE(device().launch(without_plan).ok());
  Job& behind = start(probe(), whole());
  hold.open();
  ASSERT_TRUE(wait_for_all());
  settle();
  EXPECT_EQ(completions_.size(), 2U);
  expect_answered(running);
  expect_answered(behind);
}

TEST_P(DeviceContract, LaunchesInFlightAreBounded) {
  constexpr int kFarTooMany = 100'000;
  Gate& hold = gate();
  start(probe({.gate = &hold}), whole());
  Probe& next = probe();
  bool refused = false;
  for (int i = 0; i < kFarTooMany && !refused; ++i) {
    Job& job = make_job(next, atom(0), {});
    const auto started = try_start(job, {});
    if (!started.ok()) {
      EXPECT_EQ(started.error().code(), ErrorCode::kResourceExhausted);
      refused = true;
    }
  }
  EXPECT_TRUE(refused);
  hold.open();
  ASSERT_TRUE(wait_for_all());
  Job& afterwards = start(next, whole());
  ASSERT_TRUE(wait_for(afterwards));
  expect_answered(afterwards);
}

TEST_P(DeviceContract, AFailingPlanFailsItsLaunchAlone) {
  const std::uint16_t last = static_cast<std::uint16_t>(atoms() - 1);
  Job& before = start(probe(), whole());
  const Job& failing = start(probe({.busy = milliseconds(1), .outcome = Outcome::kFail}), atom(0));
  Job& beside = start(probe({.busy = milliseconds(1)}), atom(last));
  Job& behind = start(probe(), atom(0));
  ASSERT_TRUE(wait_for_all());
  ASSERT_TRUE(has_code(failing, ErrorCode::kInternal));
  EXPECT_TRUE(completion(failing).ran);
  EXPECT_TRUE(failing.batch.outputs.empty());
  expect_answered(before);
  expect_answered(beside);
  expect_answered(behind);
  EXPECT_TRUE(downs_.empty());
}

TEST_P(DeviceContract, ProcessorFaultEndsEverythingInFlightThenTheDevice) {
  const std::uint16_t last = static_cast<std::uint16_t>(atoms() - 1);
  const bool has_neighbour = atoms() > 1;
  Gate& hold = gate();
  Gate& trigger = gate();
  if (has_neighbour) {
    start(probe({.gate = &hold}), atom(last));
    start(probe(), atom(last));
  }
  start(probe({.gate = &trigger, .outcome = Outcome::kFault}), atom(0));
  for (int i = 0; i < 3; ++i) {
    start(probe(), i == 1 ? whole() : atom(0));
  }
  ASSERT_TRUE(
      wait_until([&] { return trigger.reached() == 1 && hold.reached() == (has_neighbour ? 1 : 0); }, "they run"));
  trigger.open();
  hold.open();
  ASSERT_TRUE(wait_for_all());
  ASSERT_TRUE(wait_until([&] { return !downs_.empty(); }, "device_down"));
  Job& late = make_job(probe(), atom(0), {});
  const auto started = try_start(late, {});
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.error().code(), ErrorCode::kDeviceLost);
  under_test().destroy_device();
  for (auto& report : inbox_.take()) {
    ADD_FAILURE() << "reported after device_down: " << (std::holds_alternative<Error>(report) ? "down" : "completion");
  }
  EXPECT_EQ(downs_.size(), 1U);
  EXPECT_EQ(downs_.front().code(), ErrorCode::kDeviceLost);
  for (const Job& job : jobs_) {
    // What ran beside the fault may have ended just before it.
    const bool beside = job.slice == atom(last) && has_neighbour;
    EXPECT_TRUE(!job.accepted || has_code(job, ErrorCode::kDeviceLost) || (beside && succeeded(job))) << job.id.value;
  }
}

TEST_P(DeviceContract, ProcessorFaultWhereNothingElseRunsTakesTheDeviceDown) {
  const Job& broken = start(probe({.outcome = Outcome::kFault}), whole());
  ASSERT_TRUE(wait_for(broken));
  EXPECT_TRUE(has_code(broken, ErrorCode::kDeviceLost));
  ASSERT_TRUE(wait_until([&] { return !downs_.empty(); }, "device_down"));
  EXPECT_FALSE(
      device().launch({.id = LaunchId{999}, .slice = atom(0), .plan = &probe().plan(), .batch = &jobs_[0].batch}).ok());
  settle();
  EXPECT_EQ(downs_.size(), 1U);
}

TEST_P(DeviceContract, TwoFaultsTakeTheDeviceDownOnce) {
  if (atoms() < 2) {
    GTEST_SKIP() << "needs two atoms";
  }
  Gate& trigger = gate();
  start(probe({.gate = &trigger, .outcome = Outcome::kFault}), atom(0));
  start(probe({.gate = &trigger, .outcome = Outcome::kFault}), atom(1));
  ASSERT_TRUE(wait_until([&] { return trigger.reached() == 2; }, "both run"));
  trigger.open();
  ASSERT_TRUE(wait_for_all());
  ASSERT_TRUE(wait_until([&] { return !downs_.empty(); }, "device_down"));
  settle();
  EXPECT_EQ(downs_.size(), 1U);
  for (const Job& job : jobs_) {
    EXPECT_TRUE(has_code(job, ErrorCode::kDeviceLost));
  }
}

TEST_P(DeviceContract, DestructionEndsWhatIsInFlight) {
  Gate& hold = gate();
  start(probe({.gate = &hold}), atom(0));
  start(probe(), atom(0));
  start(probe(), whole());
  ASSERT_TRUE(wait_until([&] { return hold.reached() == 1; }, "the first runs"));
  // Devices that cannot interrupt a run wait for its end.
  std::thread opener([&hold] {
    std::this_thread::sleep_for(milliseconds(20));
    hold.open();
  });
  under_test().destroy_device();
  opener.join();
  std::map<LaunchId, int> count;
  for (auto& report : inbox_.take()) {
    ASSERT_TRUE(std::holds_alternative<Completion>(report)) << "closing is no fault";
    ++count[std::get<Completion>(report).id];
  }
  EXPECT_EQ(count.size(), jobs_.size());
  for (const auto& [id, times] : count) {
    EXPECT_EQ(times, 1) << id.value;
  }
}

// A dispatcher in small: whoever reports takes the role if it is free, retires what was reported and launches the next.
// Thread-safe.
class Relay final : public CompletionSink {
 public:
  Relay(Device& device, const Plan& plan, std::vector<Batch> batches)
      : device_(device), plan_(plan), batches_(std::move(batches)) {}

  // Before open() by the test, which has the role first; then by the holder.
  void launch() {
    const std::uint64_t id = launches_ + 1;
    const auto& ladder = device_.shape().ladder;
    Batch& batch = batches_[id % batches_.size()];
    if (device_.launch({.id = {id}, .slice = ladder[id % ladder.size()], .plan = &plan_, .batch = &batch}).ok()) {
      ++launches_;
    }
  }
  void open() { work(); }

  void completed(const Completion& completion) override {
    {
      const std::lock_guard lock(mutex_);
      reported_.push_back(completion.id);
      if (std::exchange(held_, true)) {
        return;
      }
    }
    work();
  }
  void device_down(const Error&) override { ADD_FAILURE() << "closing is no fault"; }

  // Once the device is gone.
  std::uint64_t launches() const { return launches_; }
  std::uint64_t completions() const { return completions_; }

 private:
  void work() {
    for (std::optional<LaunchId> id = next(); id; id = next()) {
      ++completions_;
      device_.retire(*id);
      launch();
    }
  }
  std::optional<LaunchId> next() {
    const std::lock_guard lock(mutex_);
    if (reported_.empty()) {
      held_ = false;
      return std::nullopt;
    }
    const LaunchId id = reported_.front();
    reported_.pop_front();
    return id;
  }

  Device& device_;
  const Plan& plan_;
  std::vector<Batch> batches_;     // more than are in flight
  std::uint64_t launches_ = 0;     // the holder's
  std::uint64_t completions_ = 0;  // the holder's
  std::mutex mutex_;               // guards the rest
  std::deque<LaunchId> reported_;
  bool held_ = true;
};

TEST_P(DeviceContract, DestructionWhileTheDevicesThreadsHoldTheRole) {
  constexpr std::size_t kBatches = 64;
  Job& form = make_job(probe({.busy = microseconds(50)}), whole(), {});
  Relay relay(device(), form.probe->plan(), std::vector<Batch>(kBatches, form.batch));
  device().set_sink(relay);
  for (int i = 0; i < 8; ++i) {
    relay.launch();
  }
  relay.open();
  for (const TimePoint end = now() + milliseconds(20); now() < end;) {
    under_test().let_time_pass();
    std::this_thread::yield();
  }
  under_test().destroy_device();
  EXPECT_GE(relay.launches(), 8U);
  EXPECT_EQ(relay.completions(), relay.launches());
}

TEST_P(DeviceContract, DestructionDropsALaunchThatTheCallerDidNotRun) {
  Job& job = make_job(probe(), atom(0), {.may_run_here = true});
  const auto started = try_start(job, {.may_run_here = true});
  ASSERT_TRUE(started.ok());
  const auto before = inbox_.take();
  under_test().destroy_device();
  EXPECT_EQ(before.size() + inbox_.take().size(), 1U);
  if (*started == Started::kRunHere) {
    EXPECT_TRUE(job.probe->runs().empty());
  }
}

}  // namespace
}  // namespace tessera::device::contract
