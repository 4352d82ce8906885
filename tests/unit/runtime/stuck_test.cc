// Batches that do not end: at the dispatcher, on a device that the test drives, and at the service.
#include <thread>

#include "fleet_support.h"

namespace tessera::runtime::test {
namespace {

Dispatcher::Limits soon_overdue() {
  Dispatcher::Limits limits;
  limits.overdue = sched::OverdueRule{10, milliseconds(100), milliseconds(100)};
  return limits;
}

// One lane a slice, and a prediction for every size of slice.
std::shared_ptr<const model::Instance> add_model(Serving& serving, InstanceId id, const std::string& name) {
  const sched::Profile known(
      {{1, 1, milliseconds(1)}, {8, 1, milliseconds(2)}, {1, 4, milliseconds(1)}, {8, 4, milliseconds(2)}});
  return publish(serving, make_instance(id, name, add_sub_plan()), known);
}

// Soon: another thread may hold the role.
bool nothing_is_stuck(ManualServing& s) {
  for (int i = 0; i < 5000 && s.serving->device_statistics().stuck != 0; ++i) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  return s.serving->device_statistics().stuck == 0;
}

TEST(StuckBatch, ItsRequestsAreAnsweredAndItsModelIsOutOfServiceUntilItEndsAfterAll) {
  ManualServing s("temporal", soon_overdue());
  add_model(*s.serving, {1}, "m");
  auto first = add_sub_call("m", 1);
  const std::weak_ptr<const void> bytes = first->request.memory;
  auto running = send(*s.serving, first);
  auto waiting = send(*s.serving, add_sub_call("m", 2));
  ASSERT_EQ(s.device->waiting(), 1U);
  const auto error = running.get().error();
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_EQ(error.message(), "model 'm' is out of service: a batch of it on device 'manual' does not end");
  EXPECT_EQ(waiting.get().error().message(), error.message());
  EXPECT_EQ(send(*s.serving, add_sub_call("m", 3)).get().error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(s.serving->find("m", std::nullopt).error().message(), error.message());
  EXPECT_EQ(s.serving->device_statistics().stuck, 1U);
  EXPECT_TRUE(s.serving->device_statistics().up);
  EXPECT_EQ(failures(*s.serving, "engine"), 1U);
  EXPECT_TRUE(s.serving->drain(milliseconds(100)));
  // The device may still read what it was given.
  first.reset();
  EXPECT_FALSE(bytes.expired());
  ASSERT_TRUE(s.device->run_oldest());
  EXPECT_TRUE(nothing_is_stuck(s));
  EXPECT_TRUE(bytes.expired());
  EXPECT_TRUE(s.serving->find("m", std::nullopt).ok());
}

TEST(StuckBatch, AfterItsEndTheModelServes) {
  ManualServing s("temporal", soon_overdue());
  add_model(*s.serving, {1}, "m");
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(send(*s.serving, add_sub_call("m", 1)).get().ok());
    EXPECT_EQ(send(*s.serving, add_sub_call("m", 2)).get().error().code(), ErrorCode::kUnavailable);
    ASSERT_TRUE(s.device->run_oldest());
    ASSERT_TRUE(nothing_is_stuck(s));
    auto call = add_sub_call("m", 3);
    auto answer = send(*s.serving, call);
    ASSERT_TRUE(s.device->run_oldest());
    EXPECT_TRUE(add_sub_is_right(*call, answer.get()));
    EXPECT_TRUE(s.serving->with_borrowed(s.device->shape().loader, milliseconds(1), [] { return ok_status(); }).ok());
  }
  EXPECT_EQ(failures(*s.serving, "engine"), 3U);
}

TEST(StuckBatch, OtherSlicesGoOnAndNothingIsLaunchedBehindIt) {
  ManualServing s("tessera", soon_overdue(), 4, 1);
  add_model(*s.serving, {1}, "stuck");
  add_model(*s.serving, {2}, "other");
  auto stuck = send(*s.serving, add_sub_call("stuck", 1));
  ASSERT_EQ(s.device->waiting(), 1U);
  const Slice held = s.device->oldest_slice();
  ASSERT_LT(held.count, 4);
  EXPECT_FALSE(stuck.get().ok());
  for (int i = 0; i < 20; ++i) {
    auto call = add_sub_call("other", i);
    auto answer = send(*s.serving, call);
    ASSERT_EQ(s.device->waiting(), 2U);
    ASSERT_FALSE(s.device->newest_slice().overlaps(held));
    ASSERT_TRUE(s.device->run_newest());
    EXPECT_TRUE(add_sub_is_right(*call, answer.get()));
  }
  s.device->run_oldest();
}

TEST(StuckBatch, WhatWasCommittedBehindItIsAnsweredToo) {
  ManualServing s("temporal", soon_overdue(), 2, 1);
  add_model(*s.serving, {1}, "stuck");
  add_model(*s.serving, {2}, "other");
  auto stuck = send(*s.serving, add_sub_call("stuck", 1));
  std::this_thread::sleep_for(milliseconds(5));  // the predicted end is near: one is committed behind
  auto behind = send(*s.serving, add_sub_call("other", 2));
  ASSERT_EQ(s.device->waiting(), 2U);
  auto waiting = send(*s.serving, add_sub_call("other", 3));
  EXPECT_FALSE(stuck.get().ok());
  const std::string held_up = "device 'manual' is held up by a batch of model 'stuck' that does not end";
  EXPECT_EQ(behind.get().error().message(), held_up);
  EXPECT_EQ(waiting.get().error().message(), held_up);  // temporal holds the whole device
  EXPECT_EQ(send(*s.serving, add_sub_call("other", 4)).get().error().message(), held_up);
  EXPECT_TRUE(s.serving->find("other", std::nullopt).ok());
  while (s.device->run_oldest()) {
  }
  ASSERT_TRUE(nothing_is_stuck(s));
  auto call = add_sub_call("other", 5);
  auto answer = send(*s.serving, call);
  ASSERT_TRUE(s.device->run_oldest());
  EXPECT_TRUE(add_sub_is_right(*call, answer.get()));
}

TEST(StuckBatch, ALoaderThatWaitsIsSentAway) {
  ManualServing s("temporal", soon_overdue());
  add_model(*s.serving, {1}, "m");
  auto stuck = send(*s.serving, add_sub_call("m", 1));
  std::promise<Status> ended;
  std::thread loader([&] {
    ended.set_value(s.serving->with_borrowed(s.device->shape().loader, milliseconds(1), [] { return ok_status(); }));
  });
  EXPECT_FALSE(stuck.get().ok());
  EXPECT_EQ(ended.get_future().get().error().code(), ErrorCode::kDeviceLost);
  loader.join();
  EXPECT_FALSE(s.serving->with_borrowed(s.device->shape().loader, milliseconds(1), [] { return ok_status(); }).ok());
  s.device->run_oldest();
}

TEST(StuckBatch, WhereRunsMaySlowDownSoonIsNotYet) {
  ManualServing s("temporal", {});  // by its shape the device is not steady
  add_model(*s.serving, {1}, "m");
  auto call = add_sub_call("m", 1);
  auto slow = send(*s.serving, call);
  std::this_thread::sleep_for(milliseconds(2500));
  EXPECT_FALSE(answered(slow));
  s.device->run_oldest();
  EXPECT_TRUE(add_sub_is_right(*call, slow.get()));
}

class StuckService : public FleetTest {
 protected:
  StuckService() { steady_ = true; }

  // To be made after the service, which does not end beside a batch that never does.
  class EndsHangs {
   public:
    explicit EndsHangs(StuckService& test) : test_(test) {}
    ~EndsHangs() {
      for (std::size_t i = 0; i < test_.devices_.size(); ++i) {
        test_.engines_[i]->faults().end_hangs();
        test_.devices_[i]->wake();
      }
    }
    EndsHangs(const EndsHangs&) = delete;
    EndsHangs& operator=(const EndsHangs&) = delete;

   private:
    StuckService& test_;
  };

  std::shared_ptr<TestCall> hanging_call(const std::string& name) {
    const auto made = call(name);
    made->request.inputs[0].tensor.data = std::as_bytes(std::span(hanging_));
    return made;
  }
  Result<InferResponse> hang(Service& service, const std::string& name) {
    const auto made = hanging_call(name);
    service.infer(made);
    return made->wait();
  }
  static std::unique_ptr<Service> explicit_service(StuckService& test, std::size_t devices) {
    return test.service(devices, [](ServiceOptions& options) {
      options.models.control = model::ControlMode::kExplicit;
      options.models.load_at_start = {"*"};
    });
  }
  std::array<std::int32_t, 4> hanging_{66, 0, 0, 0};
};

TEST_F(StuckService, TheModelIsUnavailableAndTheServerLiveButNotReady) {
  // Two atoms are no faster than one, so one is what a batch gets.
  model("stuck", "1ms\nlatency 1 2 1ms\nfault hang 66");
  model("other", "1ms\nlatency 1 2 1ms");
  const auto s = explicit_service(*this, 1);
  const Status started = s->start();
  ASSERT_TRUE(started.ok()) << started.error().message();
  const EndsHangs at_the_end(*this);
  EXPECT_TRUE(infer(*s, "stuck").ok());
  EXPECT_TRUE(s->ready());
  std::this_thread::sleep_for(milliseconds(500));  // all slices are there soon, and one atom is enough for each model
  const TimePoint asked = now();
  const auto answer = hang(*s, "stuck");
  EXPECT_GE(now() - asked, milliseconds(1900));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), ErrorCode::kUnavailable);
  ASSERT_TRUE(soon([&] { return s->stuck().has_value(); }));
  EXPECT_EQ(*s->stuck(), answer.error().message());
  EXPECT_EQ(stuck_changes_, 1);
  EXPECT_EQ(all_lost_, 0);
  EXPECT_TRUE(s->live());
  EXPECT_TRUE(s->accepts());
  EXPECT_FALSE(s->ready());
  EXPECT_FALSE(s->find("stuck", std::nullopt).ok());
  EXPECT_EQ(index(*s), (Lines{"other 1 READY ", "stuck 1 UNAVAILABLE " + answer.error().message()}));
  EXPECT_EQ(s->device_statistics().at(0).stuck, 1U);
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(infer(*s, "other").ok());
  }
  EXPECT_EQ(infer(*s, "stuck").error().message(), answer.error().message());
  const Status loaded = wait_for([&](auto done) { s->models().load({"stuck", {}, {}}, std::move(done)); });
  EXPECT_EQ(loaded.error().message(),
            "nothing is loaded or unloaded until the server starts anew: " + answer.error().message());
  EXPECT_FALSE(wait_for([&](auto done) { s->models().unload("stuck", std::move(done)); }).ok());
}

TEST_F(StuckService, WhatEndsAfterAllIsForgiven) {
  model("stuck", "1ms\nfault hang 66");
  const auto s = explicit_service(*this, 1);
  ASSERT_TRUE(s->start().ok());
  {
    const EndsHangs soon_enough(*this);
    EXPECT_FALSE(hang(*s, "stuck").ok());
    ASSERT_TRUE(soon([&] { return s->stuck().has_value(); }));
  }
  ASSERT_TRUE(soon([&] { return !s->stuck().has_value(); }));
  EXPECT_TRUE(s->ready());
  EXPECT_EQ(index(*s), Lines{"stuck 1 READY "});
  EXPECT_TRUE(infer(*s, "stuck").ok());
  EXPECT_EQ(s->device_statistics().at(0).stuck, 0U);
  EXPECT_TRUE(wait_for([&](auto done) { s->models().unload("stuck", std::move(done)); }).ok());
}

TEST_F(StuckService, AnotherDeviceServesOn) {
  model("stuck", "1ms\nfault hang 66");
  const auto s = service(2);
  ASSERT_TRUE(s->start().ok());
  const EndsHangs at_the_end(*this);
  const auto answer = hang(*s, "stuck");
  ASSERT_FALSE(answer.ok());
  ASSERT_TRUE(soon([&] { return s->stuck().has_value(); }));
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(infer(*s, "stuck").ok());
  }
  EXPECT_TRUE(s->find("stuck", std::nullopt).ok());
  EXPECT_FALSE(s->ready());
  const std::size_t held = s->device_statistics()[0].stuck == 1 ? 0 : 1;
  EXPECT_EQ(index(*s), Lines{"stuck 1 READY on fake:" + std::to_string(held) + ": " + answer.error().message()});
}

}  // namespace
}  // namespace tessera::runtime::test
