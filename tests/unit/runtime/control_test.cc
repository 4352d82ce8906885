// Parameters and the policy of a service that runs, on two devices.
#include "fleet_support.h"

namespace tessera::runtime::test {
namespace {

using ControlTest = FleetTest;

std::string slo(const std::string& ms) {
  return R"(parameters { key: "slo_ms" value { string_value: ")" + ms + "\" } }";
}

TEST_F(ControlTest, AChangeHoldsOnEveryDeviceAndIsShown) {
  model("m", "1ms", slo("500"));
  const auto s = service(2);
  ASSERT_TRUE(s->start().ok());
  EXPECT_EQ(s->params("m")->slo, milliseconds(500));
  const auto now = s->change_params("m", {{"slo_ms", "250"}, {"weight", "2"}});
  ASSERT_TRUE(now.ok()) << now.error().message();
  EXPECT_EQ(now->slo, milliseconds(250));
  EXPECT_EQ(s->params("m", 1)->weight, 2);
  for (const auto& statistics : s->statistics()) {
    EXPECT_EQ(statistics.params, *now);
  }
  const auto config = s->config("m", std::nullopt);
  ASSERT_TRUE(config.ok());
  EXPECT_NE(model::config_json(**config).find(R"("slo_ms":{"string_value":"250"})"), std::string::npos);
  EXPECT_TRUE(infer(*s, "m").ok());
}

TEST_F(ControlTest, WhatIsWrongChangesNothing) {
  model("m", "1ms", slo("500"));
  const auto s = service(2);
  ASSERT_TRUE(s->start().ok());
  EXPECT_EQ(s->change_params("n", {{"slo_ms", "250"}}).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(s->params("n").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(s->change_params("m", {{"slo_ms", "250"}, {"weight", "x"}}).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(s->params("m")->slo, milliseconds(500));
  EXPECT_EQ(s->change_policy("fancy").error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(s->policy(), "tessera");
}

// The one that waits behind a run of a second is rejected once its objective is shorter than that, and not before.
TEST_F(ControlTest, WaitingRequestsFollow) {
  model("m", "1s", "instance_group [{ kind: KIND_GPU count: 1 }] " + slo("60000"));
  const auto s = service(1);
  ASSERT_TRUE(s->start().ok());
  ASSERT_TRUE(infer(*s, "m").ok());
  const auto running = call("m");
  const auto waiting = call("m");
  const auto pending = [&] { return s->statistics("m", 1)->at(0).pending; };
  s->infer(running);
  ASSERT_TRUE(soon([&] { return pending() == 0; }));
  s->infer(waiting);
  ASSERT_EQ(pending(), 1U);
  ASSERT_TRUE(s->change_params("m", {{"slo_ms", "10"}}).ok());
  const auto rejected = waiting->wait();
  ASSERT_FALSE(rejected.ok());
  EXPECT_NE(rejected.error().message().find("objective of 10 ms"), std::string::npos) << rejected.error().message();
  EXPECT_TRUE(running->wait().ok()) << "what runs is finished";
  const auto statistics = s->statistics("m", 1)->at(0);
  EXPECT_EQ(statistics.failures.at("deadline"), 1U);
  EXPECT_EQ(statistics.with_slo - statistics.met_slo, 2U) << "the one that ran is late by what holds when it ends";
}

TEST_F(ControlTest, AnObjectiveBelowTheFastestRunIsToldAndRejectedAsSuch) {
  model("m", "20ms", slo("5"));
  const auto s = service(2);
  testing::internal::CaptureStderr();
  ASSERT_TRUE(s->start().ok());
  EXPECT_TRUE(s->statistics("m", 1)->at(0).slo_is_impossible());
  for (int i = 0; i < 5; ++i) {
    const auto rejected = infer(*s, "m");
    ASSERT_FALSE(rejected.ok());
    EXPECT_EQ(rejected.error().code(), ErrorCode::kUnavailable);
    EXPECT_EQ(rejected.error().message().rfind("Request for model 'm' cannot be answered in time: slo_ms 5 of model m "
                                               "is below its fastest measured run of ",
                                               0),
              0U)
        << rejected.error().message();
  }
  EXPECT_EQ(launches(*s, 0) + launches(*s, 1), 0U);
  EXPECT_EQ(s->statistics("m", 1)->at(0).failures.at("deadline"), 5U);
  ASSERT_TRUE(s->change_params("m", {{"slo_policy", "best_effort"}}).ok());
  EXPECT_TRUE(infer(*s, "m").ok());
  EXPECT_TRUE(s->statistics("m", 1)->at(0).slo_is_impossible()) << "it is as short as before";
  ASSERT_TRUE(s->change_params("m", {{"slo_ms", "900"}, {"slo_policy", "reject"}}).ok());
  EXPECT_FALSE(s->statistics("m", 1)->at(0).slo_is_impossible());
  EXPECT_TRUE(infer(*s, "m").ok());
  ASSERT_TRUE(s->change_params("m", {{"slo_ms", "4.5"}}).ok());
  const std::string log = testing::internal::GetCapturedStderr();
  const auto told = [&](const std::string& what) {
    int times = 0;
    for (std::size_t at = log.find(what); at != std::string::npos; at = log.find(what, at + 1)) ++times;
    return times;
  };
  EXPECT_EQ(told("slo_ms=5"), 2) << "once on each device\n" << log;
  EXPECT_EQ(told("slo_ms=4.5"), 2) << log;
}

std::string reserves(const std::string& share, const std::string& more = "") {
  return more + R"(parameters { key: "reserved_share" value { string_value: ")" + share + "\" } }";
}

void explicit_control(ServiceOptions& options) {
  options.models.control = model::ControlMode::kExplicit;
  options.models.load_at_start = {"*"};
}

TEST_F(ControlTest, ModelsThatReserveMoreThanADeviceAreNotLoaded) {
  model("a", "1ms", reserves("0.7"));
  model("b", "1ms", reserves("0.2"));
  model("c", "1ms", reserves("0.4"));
  const auto s = service(1, explicit_control);
  const Status started = s->start();
  ASSERT_FALSE(started.ok());
  const std::string why =
      "reserved_share: the models on device 'fake:0' would reserve 1.3 of it, more than 1: 'a' 0.7, 'b' 0.2, 'c' 0.4";
  EXPECT_EQ(started.error().message(), "load failed for model 'c': " + why);
  EXPECT_EQ(index(*s), (Lines{"a 1 READY ", "b 1 READY ", "c 1 UNAVAILABLE " + why}));
  const auto load = [&](const std::string& name) {
    return wait_for([&](auto done) { s->models().load({name, {}, {}}, done); });
  };
  model("c", "1ms", reserves("0.1"));
  EXPECT_TRUE(load("c").ok()) << "all of it is no more than it";
  // One that serves goes on where its next version asks for too much.
  model("c", "1ms", reserves("0.2"));
  EXPECT_FALSE(load("c").ok());
  EXPECT_TRUE(infer(*s, "c").ok());
  ASSERT_TRUE(wait_for([&](auto done) { s->models().unload("a", done); }).ok());
  EXPECT_TRUE(load("c").ok());
}

TEST_F(ControlTest, SharesOfAllVersionsCountAndThoseOfReplacedOnesDoNot) {
  model("a", "1ms", reserves("0.4"));
  model("b", "1ms", reserves("0.4", "version_policy { all {} } "));
  model("b", "1ms", "", "2");
  const auto s = service(1, explicit_control);
  EXPECT_NE(s->start().error().message().find("'b' 0.8"), std::string::npos);
  const auto load = [&](const std::string& name) {
    return wait_for([&](auto done) { s->models().load({name, {}, {}}, done); });
  };
  model("b", "1ms", reserves("0.6"));
  EXPECT_TRUE(load("b").ok());
  model("b", "1ms", reserves("0.6"), "3");  // takes the place of version 2, beside which it is loaded
  EXPECT_TRUE(load("b").ok());
  EXPECT_EQ(s->versions("b"), (std::vector<std::int64_t>{3}));
}

TEST_F(ControlTest, NoChangeReservesMoreThanADevice) {
  model("a", "1ms", reserves("0.5"));
  model("b", "1ms", reserves("0.3"));
  const auto s = service(2, explicit_control);
  ASSERT_TRUE(s->start().ok());
  const auto refused = s->change_params("b", {{"reserved_share", "0.6"}, {"weight", "2"}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused.error().message(),
            "reserved_share: the models on device 'fake:0' would reserve 1.1 of it, more than 1: 'a' 0.5, 'b' 0.6");
  EXPECT_EQ(s->params("b")->reserved_share, 0.3);
  EXPECT_EQ(s->params("b")->weight, 1);
  EXPECT_TRUE(s->change_params("b", {{"reserved_share", "0.5"}}).ok());
  EXPECT_TRUE(s->change_params("a", {{"reserved_share", "0"}}).ok());
  EXPECT_TRUE(s->change_params("b", {{"reserved_share", "1"}}).ok());
  // A load that would take its file's share again finds it taken.
  const Status again = wait_for([&](auto done) { s->models().load({"a", {}, {}}, done); });
  ASSERT_FALSE(again.ok());
  EXPECT_NE(again.error().message().find("'a' 0.5, 'b' 1"), std::string::npos) << again.error().message();
  EXPECT_EQ(s->params("a")->reserved_share, 0);
  // A device that joins has them as they are now, not as their files say.
  ASSERT_TRUE(add(*s).ok());
  EXPECT_TRUE(infer(*s, "a").ok());
}

TEST_F(ControlTest, ALoadTakesTheFilesValuesAgain) {
  model("m", "1ms", slo("500"));
  const auto s = service(2, [](ServiceOptions& options) {
    options.models.control = model::ControlMode::kExplicit;
    options.models.load_at_start = {"*"};
  });
  ASSERT_TRUE(s->start().ok());
  for (const bool changed : {false, true}) {
    ASSERT_TRUE(s->change_params("m", {{"slo_ms", "250"}}).ok());
    if (changed) {
      model("m", "1ms", slo("700"));
    }
    ASSERT_TRUE(wait_for([&](auto done) { s->models().load({"m", {}, {}}, done); }).ok());
    EXPECT_EQ(s->params("m")->slo, milliseconds(changed ? 700 : 500));
    for (const auto& statistics : s->statistics()) {
      EXPECT_EQ(statistics.params.slo, milliseconds(changed ? 700 : 500));
    }
  }
}

TEST_F(ControlTest, SharesAndPoliciesThatKnowNoneExcludeEachOther) {
  model("m", "1ms");
  const auto s = service(2);
  ASSERT_TRUE(s->start().ok());
  ASSERT_TRUE(s->change_params("m", {{"weight", "2"}}).ok());
  EXPECT_EQ(s->change_policy("temporal").error().message(),
            "model 'm': weight: has no effect under the policy 'temporal'");
  EXPECT_EQ(s->policy(), "tessera");
  ASSERT_TRUE(s->change_params("m", {{"weight", "1"}}).ok());
  ASSERT_TRUE(s->change_policy("temporal:triton=1").ok());
  EXPECT_EQ(s->policy(), "temporal:triton=1");
  EXPECT_EQ(s->change_params("m", {{"weight", "2"}}).error().message(),
            "weight: has no effect under the policy 'temporal'");
  EXPECT_TRUE(s->change_params("m", {{"slo_ms", "100"}}).ok());
  ASSERT_TRUE(s->change_policy("tessera").ok());
  EXPECT_TRUE(s->change_params("m", {{"weight", "2"}}).ok());
}

TEST_F(ControlTest, LoadsAreHeldAgainstThePolicyThatHoldsNow) {
  model("m", "1ms");
  const auto s = service(1, [](ServiceOptions& options) {
    options.policy = "temporal";
    options.models.control = model::ControlMode::kExplicit;
    options.models.load_at_start = {"*"};
  });
  ASSERT_TRUE(s->start().ok());
  model("heavy", "1ms", R"(parameters { key: "weight" value { string_value: "2" } })");
  const auto load = [&] { return wait_for([&](auto done) { s->models().load({"heavy", {}, {}}, done); }); };
  EXPECT_FALSE(load().ok());
  ASSERT_TRUE(s->change_policy("tessera").ok());
  EXPECT_TRUE(load().ok());
}

// From many threads, while parameters and the policy go back and forth: every request has one answer, and all are good.
TEST_F(ControlTest, UnderLoadNothingIsLost) {
  model("a", "500us", "instance_group [{ kind: KIND_GPU count: 2 }] " + slo("60000"));
  model("b", "500us", slo("60000"));
  const auto s = service(2);
  ASSERT_TRUE(s->start().ok());
  std::atomic<bool> stop{false};
  std::atomic<int> good{0};
  std::atomic<int> bad{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&, name = i % 2 == 0 ? "a" : "b"] {
      while (!stop.load()) {
        (infer(*s, name).ok() ? good : bad).fetch_add(1);
      }
    });
  }
  for (const char* policy : {"temporal", "streams", "fixed:share.a=0.5", "gslice", "dstack", "tessera"}) {
    EXPECT_TRUE(s->change_policy(policy).ok());
    EXPECT_TRUE(s->change_params("a", {{"slo_ms", "50000"}}).ok());
    const int before = good.load();
    EXPECT_TRUE(soon([&] { return good.load() > before + 20; })) << policy;
  }
  stop.store(true);
  for (std::thread& client : clients) {
    client.join();
  }
  EXPECT_EQ(bad.load(), 0);
  EXPECT_EQ(s->statistics("a", 1)->at(0).pending, 0U);
}

TEST_F(ControlTest, AStoppedServiceStillAnswers) {
  model("m", "1ms");
  const auto s = service(1);
  ASSERT_TRUE(s->start().ok());
  s->abandon();
  EXPECT_TRUE(s->change_params("m", {{"slo_ms", "100"}}).ok());
  EXPECT_TRUE(s->change_policy("temporal").ok());
}

}  // namespace
}  // namespace tessera::runtime::test
