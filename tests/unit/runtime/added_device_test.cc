// A device that is added while others serve.
#include "fleet_support.h"

namespace tessera::runtime::test {
namespace {

using AddedDevice = FleetTest;

constexpr auto kExplicit = [](ServiceOptions& options) { options.models.control = model::ControlMode::kExplicit; };

Status load(Service& service, const std::string& name, std::optional<std::string> config = std::nullopt) {
  std::promise<Status> answer;
  service.models().load({name, std::move(config), {}}, [&](Status status) { answer.set_value(std::move(status)); });
  return answer.get_future().get();
}

TEST_F(AddedDevice, ServesWhatTheOthersServe) {
  model("echo", "100us");
  const auto s = service(1);
  ASSERT_TRUE(s->start().ok());
  EXPECT_TRUE(infer(*s, "echo").ok());
  const Status added = add(*s);
  ASSERT_TRUE(added.ok()) << added.error().message();
  ASSERT_EQ(s->device_statistics().size(), 2U);
  EXPECT_EQ(s->device_statistics()[1].device, "fake:1");
  for (int i = 0; i < 40; ++i) {
    EXPECT_TRUE(infer(*s, "echo").ok());
  }
  EXPECT_GE(launches(*s, 0), 10U);
  EXPECT_GE(launches(*s, 1), 10U);
  EXPECT_EQ(s->statistics("echo", 1)->at(0).success.count, 41U);
  EXPECT_EQ(index(*s), Lines{"echo 1 READY "});
  EXPECT_TRUE(s->ready());
  EXPECT_TRUE(add(*s).ok());
  for (int i = 0; i < 60; ++i) {
    EXPECT_TRUE(infer(*s, "echo").ok());
  }
  EXPECT_GE(launches(*s, 2), 10U);
}

TEST_F(AddedDevice, CanBeWishedForFromThenOn) {
  model("pinned", "100us", "instance_group [{ kind: KIND_GPU gpus: [1] }]");
  const auto s = service(1, kExplicit);
  ASSERT_TRUE(s->start().ok());
  const Status early = load(*s, "pinned");
  ASSERT_FALSE(early.ok());
  EXPECT_NE(early.error().message().find("there is no device 1, they count from 0 to 0"), std::string::npos);
  ASSERT_TRUE(add(*s).ok());
  const Status late = load(*s, "pinned");
  ASSERT_TRUE(late.ok()) << late.error().message();
  EXPECT_TRUE(infer(*s, "pinned").ok());
  EXPECT_EQ(launches(*s, 0), 0U);
  EXPECT_GE(launches(*s, 1), 1U);
}

TEST_F(AddedDevice, HoldsWhatWasLoadedByCallAsItWasLoaded) {
  model("anywhere", "100us");
  model("first", "100us");
  const auto s = service(1, kExplicit);
  ASSERT_TRUE(s->start().ok());
  ASSERT_TRUE(load(*s, "anywhere").ok());
  ASSERT_TRUE(
      load(*s, "first",
           R"({"instance_group":[{"kind":"KIND_GPU","gpus":[0]}],"parameters":{"slo_ms":{"string_value":"50"}}})")
          .ok());
  ASSERT_TRUE(add(*s).ok());
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(infer(*s, "first").ok());
  }
  EXPECT_EQ(launches(*s, 1), 0U);
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(infer(*s, "anywhere").ok());
  }
  EXPECT_GE(launches(*s, 1), 5U);
}

TEST_F(AddedDevice, HasThePolicyAndTheParametersThatHold) {
  model("echo", "100us", "parameters { key: 'slo_ms' value { string_value: '50' } }");
  const auto s = service(1);
  ASSERT_TRUE(s->start().ok());
  ASSERT_TRUE(s->change_params("echo", {{"slo_ms", "80"}}).ok());
  ASSERT_TRUE(s->change_policy("temporal").ok());
  ASSERT_TRUE(add(*s).ok());
  devices_[0]->break_down(Error(ErrorCode::kDeviceLost, "bus error"));
  ASSERT_TRUE(soon([&] { return !s->device_statistics()[0].up; }));
  EXPECT_TRUE(infer(*s, "echo").ok());
  const Snapshot now = s->snapshot();
  ASSERT_EQ(now.tenants.size(), 1U);  // of those that are up
  EXPECT_EQ(now.tenants[0].params.slo, Duration(milliseconds(80)));
  EXPECT_EQ(now.policy, "temporal");
}

TEST_F(AddedDevice, IsRefusedWhereItCannotBe) {
  model("echo", "100us");
  const auto s = service(1);
  ASSERT_TRUE(s->start().ok());
  const auto not_called = [](const Status&) { ADD_FAILURE() << "was told of a load"; };
  DeviceUnit same = unit();
  device::FakeOptions fake;
  fake.name = "fake:0";
  same.device = std::make_unique<device::FakeDevice>(fake);
  EXPECT_EQ(s->add_device(std::move(same), not_called).error().code(), ErrorCode::kAlreadyExists);
  for (std::size_t i = s->device_statistics().size(); i < device::kMaxDevices; ++i) {
    ASSERT_TRUE(add(*s).ok());
  }
  EXPECT_EQ(s->add_device(unit(), not_called).error().code(), ErrorCode::kResourceExhausted);
  EXPECT_TRUE(infer(*s, "echo").ok());
}

TEST_F(AddedDevice, IsRefusedBySomeoneWhoStops) {
  model("echo", "100us");
  const auto s = service(1);
  ASSERT_TRUE(s->start().ok());
  s->refuse_new();
  EXPECT_EQ(add(*s).error().code(), ErrorCode::kUnavailable);
}

TEST_F(AddedDevice, ThatCannotLoadAModelSaysSoAndTheOthersServeIt) {
  model("echo", "100us");
  const auto s = service(1);
  ASSERT_TRUE(s->start().ok());
  fs::remove(root_ / "echo" / "1" / "model.onnx");
  const Status added = add(*s);
  ASSERT_FALSE(added.ok());
  EXPECT_NE(added.error().message().find("echo"), std::string::npos) << added.error().message();
  EXPECT_EQ(s->device_statistics().size(), 2U);
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(infer(*s, "echo").ok());
  }
}

TEST_F(AddedDevice, MayBeLostAsAnother) {
  model("slow", "20ms");
  const auto s = service(1);
  ASSERT_TRUE(s->start().ok());
  ASSERT_TRUE(add(*s).ok());
  std::vector<std::shared_ptr<TestCall>> calls;
  for (int i = 0; i < 8; ++i) {
    calls.push_back(call("slow"));
    s->infer(calls.back());
  }
  std::this_thread::sleep_for(milliseconds(5));
  devices_[1]->break_down(Error(ErrorCode::kDeviceLost, "bus error"));
  int failed = 0;
  for (const auto& c : calls) {
    const auto answer = c->wait();
    failed += answer.ok() ? 0 : 1;
    EXPECT_EQ(c->count, 1);
  }
  EXPECT_LE(failed, 2);  // of two atoms
  EXPECT_TRUE(s->live());
  EXPECT_TRUE(soon([&] { return !s->device_statistics()[1].up; }));
  EXPECT_TRUE(infer(*s, "slow").ok());
  EXPECT_EQ(all_lost_, 0);
}

TEST_F(AddedDevice, TakesItsShareOfWhatComesMeanwhile) {
  model("echo", "300us");
  const auto s = service(1);
  ASSERT_TRUE(s->start().ok());
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  std::atomic<int> answered{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&] {
      while (!stop.load()) {
        const auto body = s->lease_body("echo", {64});
        const auto c = call("echo");
        c->request.device = body.ok() ? (*body)->device : std::nullopt;
        s->infer(c);
        failed += c->wait().ok() && c->count == 1 ? 0 : 1;
        ++answered;
        s->ready();
        static_cast<void>(s->statistics());
      }
    });
  }
  for (std::size_t device = 1; device < 4; ++device) {
    ASSERT_TRUE(add(*s).ok());
    EXPECT_TRUE(soon([&] { return launches(*s, device) >= 20; }));
  }
  stop = true;
  for (auto& client : clients) {
    client.join();
  }
  EXPECT_EQ(failed, 0);
  EXPECT_GE(answered, 60);
}

TEST_F(AddedDevice, IsRefusedBeforeTheStartIsOver) {
  model("echo", "100us");
  const auto s = service(1);
  EXPECT_EQ(add(*s).error().code(), ErrorCode::kUnavailable);
  ASSERT_TRUE(s->start().ok());
  EXPECT_TRUE(add(*s).ok());
}

TEST_F(AddedDevice, DoesNotLoadWhatOthersDoNotServe) {
  model("echo", "100us");
  const auto s = service(1);
  ASSERT_TRUE(s->start().ok());
  model("later", "100us");
  model("echo", "100us", "", "2");
  ASSERT_TRUE(add(*s).ok());
  EXPECT_EQ(s->versions("echo"), std::vector<std::int64_t>{1});
  EXPECT_FALSE(s->find("later", std::nullopt).ok());
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(infer(*s, "echo").ok());
  }
  EXPECT_GE(launches(*s, 1), 5U);
}

TEST_F(AddedDevice, DoesNotServeOtherFilesUnderTheSameVersion) {
  model("echo", "100us");
  const auto s = service(1, kExplicit);
  ASSERT_TRUE(s->start().ok());
  ASSERT_TRUE(load(*s, "echo").ok());
  model("echo", "150us");
  const Status added = add(*s);
  ASSERT_FALSE(added.ok());
  EXPECT_NE(added.error().message().find("others than those that serve on other devices"), std::string::npos)
      << added.error().message();
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(infer(*s, "echo").ok());
  }
  EXPECT_EQ(launches(*s, 1), 0U);
  ASSERT_TRUE(load(*s, "echo").ok());  // as it says
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(infer(*s, "echo").ok());
  }
  EXPECT_GE(launches(*s, 1), 5U);
}

TEST_F(AddedDevice, LeavesAloneWhatCameWithItsRequest) {
  const auto s = service(1, kExplicit);
  ASSERT_TRUE(s->start().ok());
  model("echo", "999us");
  std::promise<Status> answer;
  s->models().load({"echo", R"({"name":"echo"})", {{"1/model.onnx", model_text("100us")}}, {}},
                   [&](Status status) { answer.set_value(std::move(status)); });
  const Status brought = answer.get_future().get();
  ASSERT_TRUE(brought.ok()) << brought.error().message();
  const Status added = add(*s);
  ASSERT_FALSE(added.ok());
  EXPECT_NE(added.error().message().find("came with the request that loaded it"), std::string::npos);
  EXPECT_TRUE(infer(*s, "echo").ok());
  EXPECT_EQ(launches(*s, 1), 0U);
}

// A load is under way when the device comes, and an unload is asked for before it has ended.
TEST_F(AddedDevice, DoesWhatIsAskedOfAllInTheOrderAsked) {
  model("comes", "40ms");  // a load runs it several times
  model("stays", "100us");
  const auto s = service(1, kExplicit);
  ASSERT_TRUE(s->start().ok());
  ASSERT_TRUE(load(*s, "stays").ok());
  std::promise<Status> loaded;
  std::promise<Status> unloaded;
  s->models().load({"comes", {}, {}, {}}, [&](Status status) { loaded.set_value(std::move(status)); });
  std::this_thread::sleep_for(milliseconds(5));
  const TimePoint begin = now();
  ASSERT_TRUE(add(*s).ok());
  s->models().unload("comes", [&](Status status) { unloaded.set_value(std::move(status)); });
  EXPECT_TRUE(loaded.get_future().get().ok());
  EXPECT_GE(now() - begin, milliseconds(30));  // the load was under way
  EXPECT_TRUE(unloaded.get_future().get().ok());
  ASSERT_TRUE(s->models().settled(milliseconds(5000)));
  EXPECT_FALSE(infer(*s, "comes").ok());
  EXPECT_EQ(s->serving().size(), 1U);
  const auto before = launches(*s, 1);
  for (int i = 0; i < 40; ++i) {
    EXPECT_TRUE(infer(*s, "stays").ok());
  }
  EXPECT_GE(launches(*s, 1), before + 5);
}

// Loads and unloads are under way when the device comes.
TEST_F(AddedDevice, DoesNotKeepWhatIsUnloadedMeanwhile) {
  model("comes", "100us");
  model("stays", "100us");
  for (int round = 0; round < 10; ++round) {
    const auto s = service(1, kExplicit);
    ASSERT_TRUE(s->start().ok());
    ASSERT_TRUE(load(*s, "stays").ok());
    ASSERT_TRUE(load(*s, "comes").ok());
    std::atomic<int> left{7};
    std::thread changes([&] {  // without waiting for one before the next
      for (int i = 0; i < 3; ++i) {
        s->models().unload("comes", [&](const Status& status) { left -= status.ok() ? 1 : 100; });
        s->models().load({"comes", {}, {}, {}}, [&](const Status& status) { left -= status.ok() ? 1 : 100; });
      }
      s->models().unload("comes", [&](const Status& status) { left -= status.ok() ? 1 : 100; });
    });
    EXPECT_TRUE(add(*s).ok());
    changes.join();
    ASSERT_TRUE(soon([&] { return left <= 0; }));
    EXPECT_EQ(left, 0);
    ASSERT_TRUE(s->models().settled(milliseconds(5000)));
    EXPECT_FALSE(infer(*s, "comes").ok());
    EXPECT_TRUE(infer(*s, "stays").ok());
    EXPECT_EQ(s->serving().size(), 1U);
    devices_.clear();
    engines_.clear();
  }
}

}  // namespace
}  // namespace tessera::runtime::test
