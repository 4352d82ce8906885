// One request's way through admission, scheduler, device and answer, step by step on a device that the test drives.
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support.h"

namespace tessera::runtime::test {
namespace {

TEST(Dispatcher, AnswersARequestWithItsOwnNumbersAndTimes) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  auto call = add_sub_call("m", 3, 2);
  auto pending = send(*s.serving, call);
  EXPECT_FALSE(answered(pending));
  ASSERT_TRUE(s.device->run_oldest());
  const auto answer = pending.get();
  EXPECT_TRUE(add_sub_is_right(*call, answer));
  EXPECT_EQ(answer->model, "m");
  EXPECT_EQ(answer->version, 1);
  EXPECT_LE(answer->times.arrival, answer->times.launched);
  EXPECT_LE(answer->times.launched, answer->times.started);
  EXPECT_LE(answer->times.started, answer->times.ended);
  EXPECT_EQ(s.device->retired, 1);
}

TEST(Dispatcher, GivesOnlyTheOutputsAskedForInTheirOrder) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  auto call = add_sub_call("m", 3);
  call->request.outputs = {"DIFFERENCE"};
  auto pending = send(*s.serving, call);
  s.device->run_oldest();
  const auto answer = pending.get();
  ASSERT_TRUE(answer.ok());
  ASSERT_EQ(answer->outputs.size(), 1U);
  EXPECT_EQ(answer->outputs[0].name, "DIFFERENCE");
}

TEST(Dispatcher, JoinsWhatWaitsAndGivesEachRequestItsRows) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  std::vector<std::shared_ptr<TestCall>> calls;
  std::vector<std::future<Result<InferResponse>>> pending;
  for (const std::int64_t rows : {1, 3, 2, 1, 2}) {  // the first runs alone, the others are 8 rows
    calls.push_back(add_sub_call("m", static_cast<std::int32_t>(calls.size()) + 1, rows));
    pending.push_back(send(*s.serving, calls.back()));
  }
  ASSERT_TRUE(s.device->run_oldest());
  ASSERT_TRUE(s.device->run_oldest());
  EXPECT_FALSE(s.device->run_oldest());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    EXPECT_TRUE(add_sub_is_right(*calls[i], pending[i].get())) << i;
  }
  const auto statistics = s.serving->statistics().all().at(0);
  EXPECT_EQ(statistics.inference_count, 9U);
  EXPECT_EQ(statistics.execution_count, 2U);
  EXPECT_EQ(statistics.success.count, 5U);
  EXPECT_EQ(statistics.batches.at(8).compute_infer.count, 1U);
  EXPECT_EQ(statistics.latency.count(), 5U);
  EXPECT_EQ(statistics.pending, 0U);
  EXPECT_EQ(s.serving->device_statistics().launches, 2U);
}

TEST(Dispatcher, CommitsBehindTheRunningBatchWhatTheDeviceTakes) {
  for (const std::uint16_t committed : {0, 1}) {
    ManualServing s("temporal", {}, 2, committed);
    const auto lanes = [](sched::ModelParams& params) { params.lanes = 4; };
    publish(*s.serving, make_instance({1}, "m", add_sub_plan(), add_sub_signature(1), lanes));
    std::vector<std::future<Result<InferResponse>>> pending;
    for (int i = 0; i < 4; ++i) {
      pending.push_back(send(*s.serving, add_sub_call("m", i)));
    }
    EXPECT_EQ(s.device->waiting(), 1U + committed);
    while (s.device->run_oldest()) {
    }
    for (auto& answer : pending) {
      EXPECT_TRUE(answer.get().ok());
    }
  }
}

TEST(Dispatcher, RequestsOfOtherShapesDoNotShareABatch) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", add_sub_plan(), add_sub_signature(8, -1)));
  std::vector<std::shared_ptr<TestCall>> calls;
  std::vector<std::future<Result<InferResponse>>> pending;
  for (const std::int64_t columns : {4, 5, 6, 5}) {
    calls.push_back(add_sub_call("m", static_cast<std::int32_t>(columns), 1, columns));
    pending.push_back(send(*s.serving, calls.back()));
  }
  while (s.device->run_oldest()) {
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    EXPECT_TRUE(add_sub_is_right(*calls[i], pending[i].get())) << i;
  }
  EXPECT_GE(s.serving->statistics().all().at(0).execution_count, 3U);
}

TEST(Dispatcher, AModelWithoutABatchDimensionRunsOneRequestAtATime) {
  ManualServing s;
  publish(*s.serving,
          make_instance(
              {1}, "m",
              [](const Slice&, Batch& batch) {
                TESSERA_CHECK(batch.inputs[0].parts.size() == 1 && batch.inputs[0].row_shape == Shape({16}));
                const Status status = add_sub(batch);
                for (TensorView& output : batch.outputs) {
                  output.shape = {16};
                }
                return status;
              },
              add_sub_signature(0)));
  std::vector<std::shared_ptr<TestCall>> calls;
  std::vector<std::future<Result<InferResponse>>> pending;
  for (int i = 0; i < 3; ++i) {
    calls.push_back(add_sub_call("m", i + 1, 1, 16, false));
    pending.push_back(send(*s.serving, calls.back()));
  }
  while (s.device->run_oldest()) {
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    EXPECT_TRUE(add_sub_is_right(*calls[i], pending[i].get())) << i;
  }
  EXPECT_EQ(s.serving->statistics().all().at(0).execution_count, 3U);
}

TEST(Dispatcher, ARequestOfNoRowsIsAnsweredWithoutARun) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  const auto answer = send(*s.serving, add_sub_call("m", 1, 0)).get();
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->outputs.at(0).tensor.shape, Shape({0, 16}));
  EXPECT_EQ(s.device->waiting(), 0U);
  EXPECT_TRUE(s.serving->drain(milliseconds(0)));
}

TEST(Dispatcher, AFailedPlanAnswersItsBatchAndNoOther) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", [](const Slice&, Batch& batch) {
    return batch.rows == 4 ? Status(internal_error("four is too much")) : add_sub(batch);
  }));
  auto good = add_sub_call("m", 1);
  auto good_pending = send(*s.serving, good);
  auto bad = send(*s.serving, add_sub_call("m", 2, 2));
  auto also_bad = send(*s.serving, add_sub_call("m", 3, 2));
  ASSERT_TRUE(s.device->run_oldest());
  ASSERT_TRUE(s.device->run_oldest());
  auto later = add_sub_call("m", 4);
  auto later_pending = send(*s.serving, later);
  ASSERT_TRUE(s.device->run_oldest());
  EXPECT_TRUE(add_sub_is_right(*good, good_pending.get()));
  EXPECT_EQ(bad.get().error().message(), "four is too much");
  EXPECT_EQ(also_bad.get().error().message(), "four is too much");
  EXPECT_TRUE(add_sub_is_right(*later, later_pending.get()));
  EXPECT_EQ(failures(*s.serving, "engine"), 2U);
}

TEST(Dispatcher, AnEngineThatLosesRowsIsAnErrorAndNotAnAnswer) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", [](const Slice&, Batch& batch) {
    const Status status = add_sub(batch);
    batch.outputs[1].shape[0] += 1;
    return status;
  }));
  auto pending = send(*s.serving, add_sub_call("m", 1));
  s.device->run_oldest();
  const auto answer = pending.get();
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), ErrorCode::kInternal);
  EXPECT_NE(answer.error().message().find("'DIFFERENCE'"), std::string::npos);
}

TEST(Dispatcher, ALaunchThatTheDeviceRefusesLeavesOthers) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  s.device->refuse_next = true;
  EXPECT_EQ(send(*s.serving, add_sub_call("m", 1)).get().error().message(), "refused by the device");
  auto call = add_sub_call("m", 2);
  auto pending = send(*s.serving, call);
  ASSERT_TRUE(s.device->run_oldest());
  EXPECT_TRUE(add_sub_is_right(*call, pending.get()));
}

TEST(Dispatcher, AHigherPriorityGoesFirst) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", add_sub_plan(), add_sub_signature(1), [](sched::ModelParams& params) {
    params.priority_levels = 2;
    params.default_priority = 2;
  }));
  auto running = send(*s.serving, add_sub_call("m", 1));
  auto low = send(*s.serving, add_sub_call("m", 2));
  auto urgent = add_sub_call("m", 3);
  urgent->request.priority = 1;
  auto high = send(*s.serving, urgent);
  s.device->run_oldest();
  s.device->run_oldest();
  EXPECT_TRUE(answered(high));
  EXPECT_FALSE(answered(low));
  s.device->run_oldest();
  EXPECT_TRUE(low.get().ok());
}

TEST(Dispatcher, UnloadingWaitsForWhatWasAcceptedAndRefusesWhatComes) {
  ManualServing s;
  const auto instance = publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  auto running = send(*s.serving, add_sub_call("m", 1));
  auto waiting = send(*s.serving, add_sub_call("m", 2));
  std::atomic<bool> gone{false};
  std::thread loader([&] {
    s.serving->withdraw(*instance);
    gone = true;
  });
  while (s.serving->find("m", std::nullopt).ok()) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(send(*s.serving, add_sub_call("m", 3)).get().error().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(gone);
  s.device->run_oldest();
  EXPECT_TRUE(running.get().ok());
  while (!s.device->run_oldest()) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_TRUE(waiting.get().ok());
  loader.join();
  EXPECT_TRUE(gone);
  EXPECT_EQ(s.serving->statistics().of("m", 1).value().at(0).success.count, 2U);
}

TEST(Dispatcher, AReloadedVersionTakesOverWhileTheOldOneFinishes) {
  ManualServing s;
  const auto old = publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  auto pending = send(*s.serving, add_sub_call("m", 1));
  publish(*s.serving, make_instance({2}, "m", add_sub_plan()));
  EXPECT_EQ(s.serving->find("m", 1).value()->id, InstanceId{2});
  std::thread loader([&] { s.serving->withdraw(*old); });
  s.device->run_oldest();
  EXPECT_TRUE(pending.get().ok());
  loader.join();
  EXPECT_EQ(s.serving->versions("m"), std::vector<std::int64_t>{1});
  EXPECT_EQ(s.serving->statistics().all().size(), 1U);
}

TEST(Dispatcher, ASliceMayBeReadyBeforeItsInstanceIsPublished) {
  ManualServing s;
  const auto instance = make_instance({1}, "m", add_sub_plan());
  for (const Slice& slice : s.device->shape().ladder) {
    s.serving->slice_ready(*instance, slice);
  }
  ASSERT_TRUE(s.serving->publish(instance, {}).ok());
  auto pending = send(*s.serving, add_sub_call("m", 1));
  ASSERT_TRUE(s.device->run_oldest());
  EXPECT_TRUE(pending.get().ok());
}

TEST(Dispatcher, TheLoaderWaitsForItsSliceAndKeepsOthersOffIt) {
  ManualServing s;
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()));
  auto running = send(*s.serving, add_sub_call("m", 1));
  std::atomic<bool> inside{false};
  std::atomic<bool> go_on{false};
  Status status = ok_status();
  std::thread loader([&] {
    status = s.serving->with_borrowed(s.device->shape().loader, milliseconds(1), [&]() -> Status {
      inside = true;
      while (!go_on) {
        std::this_thread::sleep_for(milliseconds(1));
      }
      return invalid_argument("the step's own result");
    });
  });
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_FALSE(inside);
  s.device->run_oldest();
  EXPECT_TRUE(running.get().ok());
  while (!inside) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  go_on = true;
  loader.join();
  EXPECT_EQ(status.error().message(), "the step's own result");
  auto after = send(*s.serving, add_sub_call("m", 2));
  ASSERT_TRUE(s.device->run_oldest());
  EXPECT_TRUE(after.get().ok());
}

TEST(Dispatcher, AShortLaunchRunsOnThePostersThread) {
  ManualServing s("tessera");
  const sched::Profile quick({{1, 1, microseconds(20)}, {1, 2, microseconds(20)}});
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()), quick);
  s.device->atom = 1;
  auto call = add_sub_call("m", 1);
  auto pending = send(*s.serving, call);
  EXPECT_TRUE(answered(pending));  // infer() has returned with the answer given
  EXPECT_EQ(s.device->ran_on, std::this_thread::get_id());
  EXPECT_TRUE(add_sub_is_right(*call, pending.get()));
}

TEST(Dispatcher, ALongOrUnpinnedLaunchIsTheWorkers) {
  ManualServing s("tessera");
  const sched::Profile slow({{1, 1, milliseconds(20)}, {1, 2, milliseconds(20)}});
  publish(*s.serving, make_instance({1}, "slow", add_sub_plan()), slow);
  const sched::Profile quick({{1, 1, microseconds(20)}, {1, 2, microseconds(20)}});
  publish(*s.serving, make_instance({2}, "quick", add_sub_plan()), quick);
  s.device->atom = 1;
  auto long_one = send(*s.serving, add_sub_call("slow", 1));
  EXPECT_FALSE(answered(long_one));
  s.device->run_oldest();
  EXPECT_TRUE(long_one.get().ok());
  s.device->atom.reset();
  auto unpinned = send(*s.serving, add_sub_call("quick", 2));
  EXPECT_FALSE(answered(unpinned));
  s.device->run_oldest();
  EXPECT_TRUE(unpinned.get().ok());
}

TEST(Dispatcher, ACallThatPostsTheNextFromItsAnswerDoesNotGrowTheStack) {
  ManualServing s("tessera");
  const sched::Profile quick({{1, 1, microseconds(20)}, {1, 2, microseconds(20)}});
  publish(*s.serving, make_instance({1}, "m", add_sub_plan()), quick);
  s.device->atom = 0;
  s.device->short_runs = true;
  constexpr int kCalls = 20000;
  int left = kCalls;
  std::function<void()> next = [&] {
    if (left-- > 0) {
      auto call = add_sub_call("m", left);
      call->on_done = [&](const Result<InferResponse>& answer) {
        TESSERA_CHECK(answer.ok());
        next();
      };
      s.serving->infer(call);
    }
  };
  next();
  EXPECT_EQ(left, -1);
  EXPECT_EQ(s.serving->statistics().all().at(0).success.count, static_cast<std::uint64_t>(kCalls));
}

TEST(Dispatcher, AnUnknownPolicyOrAnAbsurdBoundIsAnError) {
  ServingOptions options;
  options.policy = "nonsense";
  EXPECT_FALSE(Serving::create(std::move(options), std::make_unique<ManualDevice>()).ok());
  ServingOptions large;
  large.limits.max_waiting = std::size_t{1} << 40;
  EXPECT_FALSE(Serving::create(std::move(large), std::make_unique<ManualDevice>()).ok());
}

}  // namespace
}  // namespace tessera::runtime::test
