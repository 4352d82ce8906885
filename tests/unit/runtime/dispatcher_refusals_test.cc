// Requests that end without a run: refused, cancelled, too late, or left where the device or the server ends.
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support.h"

namespace tessera::runtime::test {
namespace {

Dispatcher::Limits limits(std::size_t waiting, std::size_t running = 4096) { return {waiting, running}; }

TEST(Dispatcher, AnUnknownModelOrVersionIsAnsweredAtOnce) {
  ManualServing s;
  auto call = add_sub_call("nobody", 1);
  const auto answer = send(*s.serving, call).get();
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(answer.error().message(), "Request for unknown model: 'nobody' is not found");
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  auto other = add_sub_call("m", 1);
  other->request.version = 9;
  EXPECT_EQ(send(*s.serving, other).get().error().message(), "Request for unknown model: 'm' is not found");
}

TEST(Dispatcher, ABadRequestIsAnsweredBeforeItIsQueued) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  auto call = add_sub_call("m", 1);
  call->request.inputs[0].name = "X";
  EXPECT_EQ(send(*s.serving, call).get().error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(failures(*s.serving, "invalid"), 1U);
  EXPECT_EQ(s.device->waiting(), 0U);
}

TEST(Dispatcher, CancellingAWaitingRequestDropsIt) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  auto running = send(*s.serving, add_sub_call("m", 1));
  auto call = add_sub_call("m", 2);
  auto pending = send(*s.serving, call);
  s.serving->cancel(*call);
  EXPECT_EQ(pending.get().error().code(), ErrorCode::kCancelled);
  s.serving->cancel(*call);
  ASSERT_TRUE(s.device->run_oldest());
  EXPECT_TRUE(running.get().ok());
  EXPECT_FALSE(s.device->run_oldest());
  EXPECT_EQ(failures(*s.serving, "cancelled"), 1U);
}

TEST(Dispatcher, CancellingALaunchedRequestLetsItFinish) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  auto call = add_sub_call("m", 1);
  auto pending = send(*s.serving, call);
  ASSERT_EQ(s.device->waiting(), 1U);
  s.serving->cancel(*call);
  EXPECT_FALSE(answered(pending));
  s.device->run_oldest();
  EXPECT_TRUE(add_sub_is_right(*call, pending.get()));
  s.serving->cancel(*call);  // of an answered one: nothing
}

TEST(Dispatcher, AnOldCancellationDoesNotHitTheNextUserOfTheTicket) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  auto first = add_sub_call("m", 1);
  auto first_pending = send(*s.serving, first);
  s.device->run_oldest();
  EXPECT_TRUE(first_pending.get().ok());
  auto second = add_sub_call("m", 2);
  auto second_pending = send(*s.serving, second);
  auto third = add_sub_call("m", 3);
  auto third_pending = send(*s.serving, third);
  s.serving->cancel(*first);
  EXPECT_FALSE(answered(second_pending));
  EXPECT_FALSE(answered(third_pending));
  while (s.device->run_oldest()) {
  }
  EXPECT_TRUE(add_sub_is_right(*second, second_pending.get()));
  EXPECT_TRUE(add_sub_is_right(*third, third_pending.get()));
}

TEST(Dispatcher, AFullQueueIsAnAnswer) {
  ManualServing s("temporal", limits(4));
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  std::vector<std::future<Result<InferResponse>>> pending;
  for (int i = 0; i < 6; ++i) {  // one is launched, four wait
    pending.push_back(send(*s.serving, add_sub_call("m", i)));
  }
  const auto answer = pending[5].get();
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(answer.error().message(), "Exceeds maximum queue size");
  while (s.device->run_oldest()) {
  }
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_TRUE(pending[i].get().ok());
  }
}

TEST(Dispatcher, WithoutATicketLeftARequestIsRefused) {
  ManualServing s("temporal", limits(1, 1));  // one chunk of tickets
  publish(*s.serving, make_instance({1}, "m", add_sub_plan(), add_sub_signature(),
                                    [](sched::ModelParams& params) { params.lanes = 1; }));
  std::vector<std::shared_ptr<TestCall>> calls;
  std::vector<std::future<Result<InferResponse>>> pending;
  for (int i = 0; i < 200; ++i) {
    pending.push_back(send(*s.serving, add_sub_call("m", i)));
  }
  while (s.device->run_oldest()) {
  }
  int refused = 0;
  for (auto& one : pending) {
    const auto answer = one.get();
    refused += answer.ok() ? 0 : 1;
    if (!answer.ok()) {
      EXPECT_EQ(answer.error().code(), ErrorCode::kResourceExhausted);
    }
  }
  EXPECT_EQ(refused, 198);
  EXPECT_EQ(failures(*s.serving, "queue_full"), 198U);
}

TEST(Dispatcher, ATimeoutEndsAWaitAndNotARun) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  auto running = add_sub_call("m", 1);
  running->request.timeout = milliseconds(5);
  auto running_pending = send(*s.serving, running);
  auto waiting = add_sub_call("m", 2);
  waiting->request.timeout = milliseconds(5);
  const auto answer = send(*s.serving, waiting).get();
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(answer.error().message(), "Request timeout expired");
  EXPECT_FALSE(answered(running_pending));
  s.device->run_oldest();
  EXPECT_TRUE(add_sub_is_right(*running, running_pending.get()));
  EXPECT_EQ(failures(*s.serving, "timeout"), 1U);
}

TEST(Dispatcher, AnObjectiveThatCannotBeMetIsAnsweredWithReasonAndRetry) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", add_sub_plan(), add_sub_signature(),
                                    [](sched::ModelParams& params) { params.slo = milliseconds(10); }));
  auto running = send(*s.serving, add_sub_call("m", 1));
  const auto answer = send(*s.serving, add_sub_call("m", 2)).get();
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(answer.error().message().find("objective of 10 ms"), std::string::npos);
  EXPECT_TRUE(answer.error().retry_after().has_value());
  s.device->run_oldest();
  EXPECT_TRUE(running.get().ok());
  const auto statistics = s.serving->statistics().all().at(0);
  EXPECT_EQ(statistics.failures.at("deadline"), 1U);
  EXPECT_EQ(statistics.with_slo, 2U);
  EXPECT_LE(statistics.met_slo, 1U);
}

TEST(Dispatcher, ALostDeviceAnswersAllAndLeavesNobodyWaiting) {
  ManualServing s;
  const auto instance = publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  auto running = send(*s.serving, add_sub_call("m", 1));
  auto waiting = send(*s.serving, add_sub_call("m", 2, 8));
  // Granted when the launches have ended, or refused when the device is known to be down: it must not wait for ever.
  std::thread loader([&] {
    static_cast<void>(s.serving->with_borrowed({0, 2}, milliseconds(1), [] { return ok_status(); }));
  });
  std::this_thread::sleep_for(milliseconds(20));
  s.device->go_down(Error(ErrorCode::kDeviceLost, "it burnt"));
  for (auto* pending : {&running, &waiting}) {
    const auto answer = pending->get();
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code(), ErrorCode::kDeviceLost);
    EXPECT_NE(answer.error().message().find("it burnt"), std::string::npos);
  }
  loader.join();
  EXPECT_FALSE(s.serving->accepts());
  EXPECT_EQ(send(*s.serving, add_sub_call("m", 3)).get().error().code(), ErrorCode::kDeviceLost);
  EXPECT_FALSE(s.serving->with_borrowed({0, 2}, milliseconds(1), [] { return ok_status(); }).ok());
  s.serving->withdraw(*instance);  // returns
  EXPECT_EQ(failures(*s.serving, "device"), 3U);
}

TEST(Dispatcher, DrainingRefusesAndWaitsForTheRest) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  auto running = send(*s.serving, add_sub_call("m", 1));
  EXPECT_FALSE(s.serving->drain(milliseconds(10)));
  const auto refused = send(*s.serving, add_sub_call("m", 2)).get();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(s.serving->accepts());
  s.device->run_oldest();
  EXPECT_TRUE(s.serving->drain(milliseconds(1000)));
  EXPECT_TRUE(running.get().ok());
}

TEST(Dispatcher, TheEndOfServingAnswersWhatIsLeft) {
  std::future<Result<InferResponse>> running;
  std::future<Result<InferResponse>> waiting;
  {
    ManualServing s;
    publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
    running = send(*s.serving, add_sub_call("m", 1));
    waiting = send(*s.serving, add_sub_call("m", 2));
  }
  EXPECT_FALSE(running.get().ok());
  EXPECT_EQ(waiting.get().error().code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace tessera::runtime::test
