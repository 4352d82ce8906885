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

// The one that waits behind a run of 300 ms is rejected once its objective is shorter than that, and not before.
TEST_F(ControlTest, WaitingRequestsFollow) {
  model("m", "300ms", "instance_group [{ kind: KIND_GPU count: 1 }] " + slo("60000"));
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
