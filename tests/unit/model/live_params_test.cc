#include "model/live_params.h"

#include <gtest/gtest.h>

#include "model_config.pb.h"
#include "tests/unit/model/config_support.h"

namespace tessera::model {
namespace {

std::string error_of_changes(const ParamChanges& changes, std::string_view without_shares = "") {
  const auto changed = with_changes({}, changes, without_shares);
  return changed.ok() ? "" : changed.error().message();
}

TEST(LiveParams, ChangeByTheNamesOfTheConfiguration) {
  sched::LiveParams before;
  before.weight = 3;
  const auto after = with_changes(before,
                                  {{"slo_ms", "12.5"},
                                   {"slo_policy", "best_effort"},
                                   {"reserved_share", "0.25"},
                                   {"reserved_lend", "false"},
                                   {"max_share", "0.5"}},
                                  "");
  ASSERT_TRUE(after.ok()) << after.error().message();
  EXPECT_EQ(after->slo, Duration(12'500'000));
  EXPECT_EQ(after->slo_policy, sched::SloPolicy::kBestEffort);
  EXPECT_EQ(after->weight, 3);
  EXPECT_EQ(after->reserved_share, 0.25);
  EXPECT_FALSE(after->reserved_lend);
  EXPECT_EQ(after->max_share, 0.5);
  EXPECT_EQ(with_changes(*after, {{"slo_ms", std::nullopt}}, "")->slo, std::nullopt);
}

TEST(LiveParams, ErrorsNameTheParameter) {
  EXPECT_EQ(error_of_changes({{"slo", "5"}}),
            "slo: no parameter that can change while the model serves; these can: slo_ms, slo_policy, weight, "
            "reserved_share, reserved_lend, max_share");
  EXPECT_EQ(error_of_changes({{"memory_limit_mb", "5"}}).rfind("memory_limit_mb: no parameter that can change", 0), 0U);
  EXPECT_EQ(error_of_changes({{"slo_ms", "0"}}), "slo_ms: must be a number from 0.001 to 3.6e+06, got '0'");
  EXPECT_EQ(error_of_changes({{"weight", "nan"}}), "weight: must be a number from 1e-06 to 1e+06, got 'nan'");
  EXPECT_EQ(error_of_changes({{"weight", std::nullopt}}), "weight: must have a value");
  EXPECT_EQ(error_of_changes({{"max_share", "0.2"}, {"reserved_share", "0.5"}}),
            "reserved_share: is larger than max_share");
  EXPECT_EQ(error_of_changes({{"slo_policy", "drop"}}), "slo_policy: must be 'reject' or 'best_effort', got 'drop'");
}

TEST(LiveParams, SharesAreRefusedUnderAPolicyThatKnowsNone) {
  EXPECT_EQ(error_of_changes({{"weight", "2"}}, "temporal"), "weight: has no effect under the policy 'temporal'");
  EXPECT_EQ(error_of_changes({{"weight", "1"}, {"slo_ms", "5"}}, "temporal"), "");
}

// So that what one reads can be written back.
TEST(LiveParams, WhatIsWrittenReadsBackAsTheSame) {
  sched::LiveParams params;
  EXPECT_EQ(*with_changes({}, written_params(params), ""), params);
  params = {Duration(12'345'678), sched::SloPolicy::kBestEffort, 0.1, 1.0 / 3, false, 0.7};
  EXPECT_EQ(*with_changes({}, written_params(params), ""), params);
}

TEST(LiveParams, TheConfigurationShowsWhatHasChanged) {
  const auto config = complete_text(
      "parameters { key: \"slo_ms\" value { string_value: \"20\" } } "
      "parameters { key: \"owner\" value { string_value: \"vision\" } } "
      "parameters { key: \"slo_policy\" value { string_value: \"reject\" } }");
  ASSERT_TRUE(config.ok()) << config.error().message();
  sched::LiveParams now = config->params;
  EXPECT_EQ(config_with(*config, now), config->proto);
  now.weight = 2.5;
  now.slo = std::chrono::milliseconds(75);
  const auto shown = config_with(*config, now);
  EXPECT_EQ(shown->parameters().at("slo_ms").string_value(), "75");
  EXPECT_EQ(shown->parameters().at("weight").string_value(), "2.5");
  EXPECT_EQ(shown->parameters().at("owner").string_value(), "vision");
  EXPECT_EQ(shown->parameters().count("max_share"), 0U);
  now.slo.reset();
  EXPECT_EQ(config_with(*config, now)->parameters().count("slo_ms"), 0U);
  EXPECT_EQ(config_with(*config, now)->parameters().count("slo_policy"), 0U) << "it would ask for an objective";
}

TEST(LiveParams, TheConfigurationShowsWhatTheModelHolds) {
  const auto config = complete_text("");
  ASSERT_TRUE(config.ok()) << config.error().message();
  EXPECT_EQ(memory_text({}), "");
  const std::string text =
      memory_text({{"cuda:0", {.weights = {100}, .packed = {50}, .working = {7}, .per_home = {3}, .again = {20}}},
                   {"cuda:1", {.weights = {100}, .packed = {}, .working = {}, .per_home = {}}}});
  EXPECT_EQ(
      text,
      "cuda:0 weights=100 packed=30 packed_again=20 working=7; cuda:1 weights=100 packed=0 packed_again=0 working=0");
  EXPECT_EQ(config_with(*config, config->params, text)->parameters().at("memory_bytes").string_value(), text);
  EXPECT_EQ(config->proto->parameters().count("memory_bytes"), 0U);
}

}  // namespace
}  // namespace tessera::model
