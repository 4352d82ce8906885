// Several devices behind one service: routing, replicas, and the loss of a device.
#include "fleet_support.h"

namespace tessera::runtime::test {
namespace {

TEST_F(FleetTest, AModelServesFromAllDevicesAndIsShownAsOne) {
  model("echo", "100us");
  const auto s = service(2);
  const Status started = s->start();
  ASSERT_TRUE(started.ok()) << started.error().message();
  EXPECT_TRUE(s->ready());
  for (int i = 0; i < 40; ++i) {
    const auto answer = infer(*s, "echo");
    ASSERT_TRUE(answer.ok()) << answer.error().message();
    EXPECT_EQ(answer->version, 1);
  }
  EXPECT_GE(launches(*s, 0), 10U);
  EXPECT_GE(launches(*s, 1), 10U);
  ASSERT_EQ(s->statistics().size(), 1U);
  EXPECT_EQ(s->statistics("echo", 1)->at(0).success.count, 40U);
  EXPECT_EQ(s->statistics("echo", 1)->at(0).latency.count(), 40U);
  EXPECT_EQ(s->statistics("echo", 1)->at(0).launches_by_atom.size(), 4U);
  EXPECT_EQ(s->versions("echo"), std::vector<std::int64_t>{1});
  EXPECT_EQ(s->serving().size(), 1U);
  EXPECT_TRUE(s->find("echo", 1).ok());
  EXPECT_EQ(s->find("echo", 2).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(infer(*s, "nobody").error().message(), "Request for unknown model: 'nobody' is not found");
  EXPECT_EQ(index(*s), Lines{"echo 1 READY "});
}

TEST_F(FleetTest, ABodysDeviceIsTheRequests) {
  model("echo", "100us");
  const auto s = service(3);
  ASSERT_TRUE(s->start().ok());
  std::array<std::uint64_t, 3> expected{};
  for (int i = 0; i < 30; ++i) {
    const auto body = s->lease_body("echo", {64});
    ASSERT_TRUE(body.ok());
    ASSERT_TRUE((*body)->device.has_value());
    ++expected.at(*(*body)->device);
    const auto made = call("echo");
    made->request.device = (*body)->device;
    s->infer(made);
    EXPECT_TRUE(made->wait().ok());
  }
  for (std::size_t device = 0; device < 3; ++device) {
    EXPECT_GT(expected.at(device), 0U);
    EXPECT_EQ(launches(*s, device), expected.at(device));
  }
  EXPECT_EQ(s->lease_body("nobody", {64}).error().code(), ErrorCode::kNotFound);
  const auto odd = call("echo");
  odd->request.device = 77;
  s->infer(odd);
  EXPECT_TRUE(odd->wait().ok());
}

TEST_F(FleetTest, RequestsKeepAwayFromADeviceThatIsBusyWithOthers) {
  model("slow", "200ms", "instance_group [{ kind: KIND_GPU gpus: [0] }]");
  model("fast", "1ms");
  const auto s = service(2);
  ASSERT_TRUE(s->start().ok());
  std::vector<std::shared_ptr<TestCall>> slow;
  for (int i = 0; i < 3; ++i) {
    slow.push_back(call("slow"));
    s->infer(slow.back());
  }
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(infer(*s, "fast").ok());
  }
  std::map<std::string, std::uint64_t> launched;
  const ModelStatistics fast = s->statistics("fast", 1)->at(0);
  for (const auto& [place, count] : fast.launches_by_atom) {
    launched[place.first] += count;
  }
  EXPECT_EQ(launched["fake:0"], 0U);
  EXPECT_GE(launched["fake:1"], 10U);
  for (const auto& c : slow) {
    EXPECT_TRUE(c->wait().ok());
  }
}

TEST_F(FleetTest, OfALostDeviceOnlyWhatRanFails) {
  model("slow", "60ms", "instance_group [{ kind: KIND_GPU count: 1 }]");
  const auto s = service(2);
  ASSERT_TRUE(s->start().ok());
  std::vector<std::shared_ptr<TestCall>> calls;
  for (int i = 0; i < 8; ++i) {
    calls.push_back(call("slow"));
    s->infer(calls.back());
  }
  std::this_thread::sleep_for(milliseconds(10));
  devices_[0]->break_down(Error(ErrorCode::kDeviceLost, "bus error"));
  int failed = 0;
  for (const auto& c : calls) {
    const auto answer = c->wait();
    if (!answer.ok()) {
      ++failed;
      EXPECT_EQ(answer.error().code(), ErrorCode::kDeviceLost);
    }
    EXPECT_EQ(c->count, 1);
  }
  EXPECT_EQ(failed, 1);  // one lane: one ran there
  EXPECT_TRUE(s->ready());
  EXPECT_TRUE(s->live());
  EXPECT_EQ(all_lost_, 0);
  EXPECT_TRUE(infer(*s, "slow").ok());
  const auto statistics = s->statistics("slow", 1)->at(0);
  EXPECT_EQ(statistics.success.count, 8U);
  EXPECT_EQ(statistics.fail.count, 1U);
  EXPECT_EQ(statistics.failures.at("device"), 1U);
  EXPECT_FALSE(s->device_statistics()[0].up);
  EXPECT_TRUE(s->device_statistics()[1].up);
  EXPECT_TRUE(s->drain(milliseconds(1000)));
}

TEST_F(FleetTest, ARequestThatMovedKeepsItsTimeout) {
  // Too slow to be run by a loader behind its publication, which would shift what follows.
  model("slow", "1600ms", "instance_group [{ kind: KIND_GPU count: 1 }]");
  const auto s = service(2);
  ASSERT_TRUE(s->start().ok());
  std::vector<std::shared_ptr<TestCall>> calls;
  for (int i = 0; i < 4; ++i) {
    calls.push_back(call("slow"));
    calls.back()->request.timeout = i < 2 ? std::chrono::microseconds(0) : std::chrono::microseconds(800'000);
    s->infer(calls.back());
  }
  std::this_thread::sleep_for(milliseconds(400));
  const TimePoint broke = now();
  devices_[0]->break_down(Error(ErrorCode::kDeviceLost, "bus error"));
  int timeouts = 0;
  for (std::size_t i = 2; i < 4; ++i) {
    const auto answer = calls[i]->wait();
    timeouts += !answer.ok() && answer.error().message() == "Request timeout expired" ? 1 : 0;
    EXPECT_LT(calls[i]->answered_at - broke, milliseconds(700));  // from their arrival on, not from the move
  }
  EXPECT_EQ(timeouts, 2);
  for (std::size_t i = 0; i < 2; ++i) {
    static_cast<void>(calls[i]->wait().ok());
  }
}

TEST_F(FleetTest, WhatOnlyTheLostDeviceHadIsLoadedOnOthers) {
  model("everywhere", "100us");
  model("second", "100us\nload_time 200ms", "instance_group [{ kind: KIND_GPU gpus: [1] }]");
  const auto s = service(3);
  const Status started = s->start();
  ASSERT_TRUE(started.ok()) << started.error().message();
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(infer(*s, "second").ok());
  }
  EXPECT_EQ(launches(*s, 0) + launches(*s, 2), 0U);
  EXPECT_EQ(launches(*s, 1), 12U);
  devices_[1]->break_down(Error(ErrorCode::kDeviceLost, "bus error"));
  EXPECT_TRUE(soon([&] { return !s->ready(); }));  // until others serve it
  EXPECT_TRUE(infer(*s, "everywhere").ok());
  ASSERT_TRUE(soon([&] { return s->ready() && infer(*s, "second").ok(); }));
  EXPECT_TRUE(infer(*s, "everywhere").ok());
  EXPECT_EQ(index(*s), (Lines{"everywhere 1 READY ", "second 1 READY "}));
}

TEST_F(FleetTest, WhatCannotBeLoadedOnOthersKeepsTheServerUnreadyUntilItIsUnloaded) {
  model("everywhere", "100us");
  model("second", "100us", "instance_group [{ kind: KIND_GPU gpus: [1] }]");
  const auto s = service(2, [](ServiceOptions& options) {
    options.models.control = model::ControlMode::kExplicit;
    options.models.load_at_start = {"*"};
  });
  ASSERT_TRUE(s->start().ok());
  EXPECT_TRUE(s->ready());
  engines_[0]->faults().fail_next_load(invalid_argument("out of memory"));
  devices_[1]->break_down(Error(ErrorCode::kDeviceLost, "bus error"));
  EXPECT_TRUE(soon([&] { return index(*s).at(1) == "second 1 UNAVAILABLE out of memory"; }));
  EXPECT_FALSE(s->ready());
  EXPECT_TRUE(s->live());
  EXPECT_TRUE(wait_for([&](std::function<void(Status)> done) { s->models().unload("second", std::move(done)); }).ok());
  EXPECT_TRUE(s->ready());
}

TEST_F(FleetTest, ADeviceThatIsNotThereCannotBeWishedFor) {
  model("third", "100us", "instance_group [{ kind: KIND_GPU gpus: [2] }]");
  const auto s = service(2);
  const Status started = s->start();
  ASSERT_FALSE(started.ok());
  EXPECT_NE(started.error().message().find("instance_group[0].gpus: there is no device 2"), std::string::npos)
      << started.error().message();
}

TEST_F(FleetTest, WhereOneReplicaFailsTheModelServesAndTheIndexTellsWhy) {
  model("echo", "100us");
  const auto s = service(2);
  engines_[1]->faults().fail_next_load(invalid_argument("out of memory"));
  const Status started = s->start();
  EXPECT_TRUE(started.ok()) << started.error().message();
  EXPECT_TRUE(s->ready());
  EXPECT_EQ(index(*s), Lines{"echo 1 READY on fake:1: out of memory"});
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(infer(*s, "echo").ok());
  }
  EXPECT_EQ(launches(*s, 1), 0U);
  // Now that the first is lost nobody serves it: it is loaded where it failed before.
  devices_[0]->break_down(Error(ErrorCode::kDeviceLost, "bus error"));
  EXPECT_TRUE(soon([&] { return s->ready() && infer(*s, "echo").ok(); }));
}

TEST_F(FleetTest, WhereAllReplicasFailTheLoadFails) {
  model("echo", "100us");
  const auto s = service(2, [](ServiceOptions& options) { options.models.control = model::ControlMode::kExplicit; });
  ASSERT_TRUE(s->start().ok());
  const auto load = [&](std::function<void(Status)> done) { s->models().load({"echo", {}, {}}, std::move(done)); };
  for (auto* engine : engines_) {
    engine->faults().fail_next_load(invalid_argument("out of memory"));
  }
  EXPECT_FALSE(wait_for(load).ok());
  EXPECT_TRUE(wait_for(load).ok());
  EXPECT_TRUE(infer(*s, "echo").ok());
  const auto unload = [&](std::function<void(Status)> done) { s->models().unload("echo", std::move(done)); };
  EXPECT_TRUE(wait_for(unload).ok());
  EXPECT_EQ(infer(*s, "echo").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(index(*s), Lines{"echo 1 UNAVAILABLE unloaded"});
}

TEST_F(FleetTest, EveryDeviceNoticesWhatChangesInARepository) {
  model("echo", "100us");
  const auto s = service(2, [](ServiceOptions& options) {
    options.models.control = model::ControlMode::kPoll;
    options.models.poll_interval = std::chrono::seconds(1);
  });
  ASSERT_TRUE(s->start().ok());
  const auto on_both = [&] {
    const std::uint64_t before[] = {launches(*s, 0), launches(*s, 1)};
    for (int i = 0; i < 8; ++i) {
      if (!infer(*s, "echo").ok()) {
        return false;
      }
    }
    return launches(*s, 0) > before[0] && launches(*s, 1) > before[1];
  };
  EXPECT_TRUE(on_both());
  model("echo", "100us", "", "2");
  EXPECT_TRUE(soon([&] { return s->versions("echo") == std::vector<std::int64_t>{2} && on_both(); }));
  EXPECT_EQ(s->find("echo", 1).error().code(), ErrorCode::kNotFound);
  // From now on the first device is not to have it: its replica goes, the other one stays.
  model("echo", "100us", "instance_group [{ kind: KIND_GPU gpus: [1] }]", "2");
  EXPECT_TRUE(soon([&] {
    const std::uint64_t before = launches(*s, 0);
    for (int i = 0; i < 8; ++i) {
      EXPECT_TRUE(infer(*s, "echo").ok());
    }
    return launches(*s, 0) == before;
  }));
  fs::remove_all(root_ / "echo");
  EXPECT_TRUE(soon([&] {
    const auto answer = infer(*s, "echo");
    return !answer.ok() && answer.error().code() == ErrorCode::kNotFound;
  }));
}

TEST_F(FleetTest, TheLastDeviceLostEndsLifeAndIsToldOnce) {
  model("echo", "100us");
  const auto s = service(2);
  ASSERT_TRUE(s->start().ok());
  devices_[1]->break_down(Error(ErrorCode::kDeviceLost, "bus error"));
  ASSERT_TRUE(infer(*s, "echo").ok());
  devices_[0]->break_down(Error(ErrorCode::kDeviceLost, "bus error"));
  EXPECT_TRUE(soon([&] { return all_lost_ == 1; }));
  EXPECT_FALSE(s->live());
  EXPECT_FALSE(s->ready());
  EXPECT_EQ(infer(*s, "echo").error().code(), ErrorCode::kDeviceLost);
  EXPECT_EQ(s->lease_body("echo", {64}).error().code(), ErrorCode::kDeviceLost);
  EXPECT_TRUE(s->find("echo", std::nullopt).ok());
}

TEST_F(FleetTest, CancellingFindsTheRequestOnItsDevice) {
  model("slow", "80ms", "instance_group [{ kind: KIND_GPU count: 1 }]");
  const auto s = service(2);
  ASSERT_TRUE(s->start().ok());
  std::vector<std::shared_ptr<TestCall>> calls;
  for (int i = 0; i < 6; ++i) {
    calls.push_back(call("slow"));
    s->infer(calls.back());
  }
  for (std::size_t i = 2; i < 6; ++i) {
    s->cancel(*calls[i]);
    EXPECT_EQ(calls[i]->wait().error().code(), ErrorCode::kCancelled);
  }
  EXPECT_TRUE(calls[0]->wait().ok());
  EXPECT_TRUE(calls[1]->wait().ok());
}

TEST_F(FleetTest, NothingIsLostOrAnsweredTwiceWhileDevicesGoUnderLoad) {
  model("a", "200us");
  model("b", "300us", "instance_group [{ kind: KIND_GPU count: 1 }]");
  const auto s = service(4);
  ASSERT_TRUE(s->start().ok());
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; !stop; ++round) {
        std::vector<std::shared_ptr<TestCall>> calls;
        for (int i = 0; i < 12; ++i) {
          calls.push_back(call((t + i) % 2 == 0 ? "a" : "b"));
          s->infer(calls.back());
        }
        if (round % 3 == 0) {
          s->cancel(*calls.back());
        }
        for (const auto& c : calls) {
          const auto answer = c->wait();
          const bool fine = answer.ok() || answer.error().code() == ErrorCode::kDeviceLost ||
                            answer.error().code() == ErrorCode::kCancelled;
          wrong += fine ? 0 : 1;
        }
      }
    });
  }
  for (std::size_t i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(milliseconds(50));
    devices_[i]->break_down(Error(ErrorCode::kDeviceLost, "bus error"));
  }
  std::this_thread::sleep_for(milliseconds(50));
  stop = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0U);
  EXPECT_TRUE(s->ready());
  EXPECT_TRUE(infer(*s, "a").ok());
  EXPECT_TRUE(s->drain(milliseconds(2000)));
}

}  // namespace
}  // namespace tessera::runtime::test
